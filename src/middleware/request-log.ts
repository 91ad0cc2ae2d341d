import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { pinoHttp } from 'pino-http';
import type { Logger } from '../logger.ts';

const CALLERS_OWN_ID = /^[A-Za-z0-9._-]{8,128}$/;

/** Gives each request its id and its line in the log: the route's pattern, never the address, which can hold a code or a state. */
export function requestLog(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    genReqId(request, response) {
      const given = request.headers['x-request-id'];
      const id = typeof given === 'string' && CALLERS_OWN_ID.test(given) ? given : randomUUID();
      response.setHeader('X-Request-Id', id);
      return id;
    },
    customLogLevel: () => 'info',
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request',
    customSuccessObject: (request, response, { duration_ms }) => describe(request as Request, response, duration_ms),
    customErrorObject: (request, response, _error, { duration_ms }) =>
      describe(request as Request, response, duration_ms),
    customAttributeKeys: { reqId: 'request_id', responseTime: 'duration_ms' },
    quietReqLogger: true,
    wrapSerializers: false,
    serializers: { req: () => undefined, res: () => undefined },
  });
}

function describe(request: Request, response: ServerResponse, durationMs: number) {
  const { method, route } = request;
  const { caller, mount, organizationId } = (response as Response).locals;
  return {
    method,
    route: route ? `${mount ?? ''}${route.path}` : 'unmatched',
    status: response.statusCode,
    duration_ms: durationMs,
    organization_id: organizationId,
    actor: caller?.actor,
    ...(response.writableFinished ? {} : { aborted: true }),
  };
}

/** Notes where a router is mounted, which Express forgets when an error leaves it. */
export const noteMount: RequestHandler = (request, response, next) => {
  response.locals['mount'] = request.baseUrl;
  next();
};
