import type { Response } from 'express';

/**
 * Sends JSON as `response.json` does, but without what it looks for each time: settings, a charset, and whether the caller has the
 * response already. For status, which every open page polls.
 */
export function sendJson(response: Response, body: object): void {
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(body));
}
