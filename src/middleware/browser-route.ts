import type { RequestHandler, Response } from 'express';
import type { ConnectLinks } from '../auth/connect-links.ts';
import type { OAuthStates } from '../auth/oauth-states.ts';
import type { AccountingSystem } from '../models/connection.ts';

/** The flow that a browser is in, for its errors and its log line. */
export interface BrowserFlow {
  system: AccountingSystem;
  /** The return page of the link or state, if its signature is valid. */
  returnUrl: string | undefined;
}

interface Dependencies {
  states: OAuthStates;
  links: ConnectLinks;
  system: AccountingSystem;
}

/** Marks a route that users open: a frontend can open it in a popup, and its errors return to the frontend. */
export function browserRoute({ states, links, system }: Dependencies): RequestHandler {
  return (request, response, next) => {
    response.set('Cross-Origin-Opener-Policy', 'unsafe-none');
    if (request.method === 'GET') {
      const flow = states.read(request.query['state'], system) ?? links.read(request.query['link'], system);
      response.locals.browserFlow = { system, returnUrl: flow?.returnUrl };
      if (flow) response.locals.organizationId = flow.organizationId;
    }
    next();
  };
}

/** Redirects without a body: Express would write HTML that repeats the URL. */
export function redirect(response: Response, url: string): void {
  response.status(302).set('Location', url).end();
}
