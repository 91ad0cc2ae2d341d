import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import { AppError, type ErrorCode } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Problem } from '../schemas/problem.ts';
import { errorPage } from './error-page.ts';

/** The HTTP status of each error. */
export const STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_state: 400,
  authorization_code_rejected: 400,
  company_mismatch: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  connection_not_found: 404,
  method_not_allowed: 405,
  reauthorization_required: 409,
  payload_too_large: 413,
  rate_limited: 429,
  internal_error: 500,
  provider_error: 502,
  provider_unavailable: 503,
  service_unavailable: 503,
};

/** Marks a route that people open: its errors are pages where the browser prefers them. */
export const pageForBrowsers: RequestHandler = (_request, response, next) => {
  response.locals['pageForBrowsers'] = true;
  next();
};

/** The one place where an error becomes an answer: `application/problem+json` (RFC 9457), or a page for a person. */
export function createErrorHandler(logger: Logger, frontendUrl: string): ErrorRequestHandler {
  return (thrown, request, response, _next) => {
    const context = { request_id: request.id, organization_id: response.locals['organizationId'] };
    if (response.headersSent || response.destroyed) {
      if (!isCallerGone(thrown)) logger.warn({ ...context, err: thrown }, 'answer cut off');
      response.destroy(); // never passed off as whole
      return;
    }
    const error = toAppError(thrown);
    response.locals['errorCode'] = error.code;
    if (error.code === 'internal_error') logger.error({ ...context, err: thrown }, 'internal error');
    if (error.code === 'service_unavailable') logger.warn({ ...context, reason: error.reason }, 'service unavailable');
    if (error.code === 'payload_too_large') response.set('Connection', 'close'); // the rest of it is not read
    if (error.code === 'unauthorized') response.set('WWW-Authenticate', 'Bearer');
    if (error.retryAfterSeconds !== undefined) response.set('Retry-After', String(error.retryAfterSeconds));
    response.status(STATUS[error.code]);
    if (prefersPage(request, response)) {
      const page = { detail: error.detail, requestId: request.id, frontendUrl };
      response.type('html').send(errorPage(page));
    } else {
      response.type('application/problem+json').json(problem(error, request.id));
    }
  };
}

function problem({ code, detail }: AppError, requestId: string): Problem {
  const status = STATUS[code];
  return { type: 'about:blank', title: String(STATUS_CODES[status]), status, detail, code, request_id: requestId };
}

function prefersPage(request: Request, response: Response): boolean {
  if (response.locals['pageForBrowsers'] !== true) return false;
  response.vary('Accept');
  return request.accepts(['application/problem+json', 'application/json', 'html']) === 'html';
}

function isCallerGone(thrown: unknown): boolean {
  const { code, name, type } = thrown as { code?: string; name?: string; type?: string };
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || name === 'AbortError' || type === 'request.aborted';
}

/** Our own errors as they are, Express' undecodable path as `invalid_request`, all else a bare `internal_error`. */
function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof URIError) return new AppError('invalid_request', 'path cannot be decoded');
  return new AppError('internal_error', 'Something went wrong in this service.');
}
