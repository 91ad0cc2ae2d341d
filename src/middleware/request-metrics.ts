import type { Request, RequestHandler, Response } from 'express';
import { AppError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';

/** The rest are refused everywhere; each as a label of its own would be a hostile caller's to choose. */
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS'];

/** How the gateway's routes end, wherever they are mounted. */
const GATEWAY = '/*resource';

/** Measures a request whose answer has left, or its caller. */
export function measureRequest(
  { requestDuration, gatewayRequests }: Metrics,
  request: Request,
  response: Response,
  route: string,
  milliseconds: number,
): void {
  const method = METHODS.includes(request.method) ? request.method : 'other';
  const status = response.writableFinished ? String(response.statusCode) : 'aborted';
  requestDuration.observe({ method, route, status }, milliseconds / 1000);
  if (route.endsWith(GATEWAY)) gatewayRequests.inc({ status_class: status.replace(/\d\d$/, 'xx') });
}

/** Counts how a handler ends: by the outcome that it answers, or by the code of what it throws. */
export function counted(
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
