import type { Request, RequestHandler, Response } from 'express';
import { AppError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import { routeOf } from './request-log.ts';

/** The rest are refused everywhere; each as a label of its own would be a hostile caller's to choose. */
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS'];

/** How the gateway's routes end, wherever they are mounted. */
const GATEWAY = '/*resource';

/** Measures every request until its answer has left, or its caller has. */
export function measureRequests({ requestDuration, gatewayRequests }: Metrics): RequestHandler {
  return (request, response, next) => {
    const begun = performance.now();
    response.once('close', () => {
      const route = routeOf(request, response);
      const method = METHODS.includes(request.method) ? request.method : 'other';
      const status = response.writableFinished ? String(response.statusCode) : 'aborted';
      requestDuration.observe({ method, route, status }, (performance.now() - begun) / 1000);
      if (route.endsWith(GATEWAY)) gatewayRequests.inc({ status_class: status.replace(/\d\d$/, 'xx') });
    });
    next();
  };
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
