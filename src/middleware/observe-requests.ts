import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { measureRequest } from './request-metrics.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The caller's own, or one of ours. */
    id: string;
  }
}

/** The form of an id that a caller may give its request. */
export const CALLERS_OWN_ID = /^[A-Za-z0-9._-]{8,128}$/;

/**
 * Gives each request its id, its line in the log and its place in the metrics: the route's pattern, never the address,
 * which can hold a code or a state.
 */
export function observeRequests(logger: Logger, metrics: Metrics): RequestHandler {
  const lines = logger.child({}, { redact: [] }); // a line has no secret's name: to look for one costs as much as the line
  return (request, response, next) => {
    const begun = performance.now();
    request.id = idOf(request);
    response.setHeader('X-Request-Id', request.id);
    response.once('close', () => {
      const milliseconds = performance.now() - begun;
      const route = routeOf(request, response);
      lines.info(describe(request, response, route, milliseconds), 'request');
      measureRequest(metrics, request, response, route, milliseconds);
    });
    next();
  };
}

function idOf(request: Request): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && CALLERS_OWN_ID.test(given) ? given : randomUUID();
}

function describe(request: Request, response: Response, route: string, milliseconds: number) {
  const { caller, errorCode, organizationId } = response.locals;
  return {
    request_id: request.id,
    method: request.method,
    route,
    status: response.headersSent ? response.statusCode : undefined,
    code: errorCode,
    duration_ms: Math.round(milliseconds),
    organization_id: organizationId,
    actor: caller?.actor,
    ...(response.writableFinished ? {} : { aborted: true }),
  };
}

/** The pattern of the route that a request met, as far as it came. */
function routeOf({ route }: Request, { locals }: Response): string {
  return route ? `${locals['mount'] ?? ''}${route.path}` : 'unmatched';
}

/** Notes where a router is mounted, which Express forgets when an error leaves it. */
export const noteMount: RequestHandler = (request, response, next) => {
  response.locals['mount'] = request.baseUrl.toLowerCase(); // a caller may write it in any case
  next();
};
