import type { Request, RequestHandler, Response } from 'express';
import { AppError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';

/** The others are rejected everywhere; as labels, a hostile caller could create any number of them. */
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS'];

/** How the gateway's routes end, wherever they are mounted. */
const GATEWAY = '/*resource';

interface CompletedRequest {
  request: Request;
  response: Response;
  route: string;
  durationMs: number;
}

/** Records a request whose response was sent, or whose caller has left. */
export function recordRequest(
  { requestDuration, gatewayRequests }: Metrics,
  { request, response, route, durationMs }: CompletedRequest,
): void {
  const method = METHODS.includes(request.method) ? request.method : 'other';
  const status = response.writableFinished ? String(response.statusCode) : 'aborted';
  requestDuration.observe({ method, route, status }, durationMs / 1000);
  if (route.endsWith(GATEWAY)) gatewayRequests.inc({ status_class: status.replace(/\d\d$/, 'xx') });
}

/** Counts how a handler ends: by the outcome that it returns, or by the code of the error that it throws. */
export function countOutcome(
  counter: Metrics['connects' | 'callbacks'],
  handle: (request: Request, response: Response) => string | Promise<string>,
): RequestHandler {
  return async (request, response) => {
    let outcome = 'internal_error';
    try {
      outcome = await handle(request, response);
    } catch (error) {
      if (error instanceof AppError) outcome = error.code;
      throw error;
    } finally {
      counter.inc({ outcome });
    }
  };
}
