import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { REQUEST_ID } from '../schemas/fields.ts';
import { currentTrace } from '../tracing/tracing.ts';
import type { Clock } from '../utils/clock.ts';
import { recordRequest } from './request-metrics.ts';
import type { RoutePatterns } from './route-patterns.ts';

declare module 'express-serve-static-core' {
  interface Request {
    /** The caller's own request ID, or a new one. */
    id: string;
  }
}

/** https://www.w3.org/TR/trace-context/: version, trace ID, parent ID and flags. No ID is all zeros. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;

interface Dependencies {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  patterns: RoutePatterns;
}

/**
 * Gives each request its ID, its log line and its place in the metrics: by the route's pattern, never the URL, which can
 * contain a code or a state.
 */
export function observeRequests({ logger, metrics, clock, patterns }: Dependencies): RequestHandler {
  const lines = logger.child({}, { redact: [] }); // the line contains no secret, and searching it costs as much as writing it
  return (request, response, next) => {
    const startedAt = clock.monotonicMs();
    request.id = requestId(request);
    const trace = currentTrace();
    const traceId = trace?.id ?? callersTraceId(request);
    response.setHeader('X-Request-Id', request.id);
    // Before the listener that ends the request's part of the trace.
    response.prependOnceListener('close', () => {
      const durationMs = clock.monotonicMs() - startedAt;
      const route = routeOf(request, response) ?? patterns.find(request.path) ?? 'unmatched';
      trace?.setRoute(route);
      lines.info(toLogLine(request, response, { route, traceId, durationMs }), 'request');
      recordRequest(metrics, { request, response, route, durationMs });
    });
    next();
  };
}

/** Remembers where a router is mounted, which Express forgets when an error leaves it. */
export const rememberMount: RequestHandler = (request, response, next) => {
  response.locals.mount = request.baseUrl.toLowerCase(); // a caller may write it in any case
  next();
};

function requestId(request: Request): string {
  const supplied = request.headers['x-request-id'];
  return typeof supplied === 'string' && REQUEST_ID.test(supplied) ? supplied : randomUUID();
}

/** The ID in the caller's W3C `traceparent`, by which the caller's own logs and traces are found. */
function callersTraceId({ headers }: Request): string | undefined {
  return TRACEPARENT.exec(String(headers['traceparent']))?.[1];
}

function toLogLine(
  request: Request,
  response: Response,
  { route, traceId, durationMs }: { route: string; traceId: string | undefined; durationMs: number },
) {
  const { caller, errorCode, errorReason, organizationId } = response.locals;
  return {
    request_id: request.id,
    trace_id: traceId,
    method: request.method,
    route,
    status: response.headersSent ? response.statusCode : undefined,
    code: errorCode,
    reason: errorReason,
    duration_ms: Math.round(durationMs),
    organization_id: organizationId,
    actor: caller?.actor,
    ...(response.writableFinished ? {} : { aborted: true }),
  };
}

/** The pattern of the route that a request reached. */
function routeOf({ route }: Request, { locals }: Response): string | undefined {
  return route && `${locals.mount ?? ''}${route.path}`;
}
