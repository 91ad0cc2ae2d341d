import type { ErrorRequestHandler, Request, Response } from 'express';
import type { ReturnPages } from '../auth/return-pages.ts';
import { AppError, ERRORS } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Problem } from '../schemas/problem.ts';
import { redirect } from './browser-route.ts';

/**
 * The one place where an error becomes a response: `application/problem+json` (RFC 9457), or a browser's redirect to the
 * frontend: no page is rendered at a URL that contains a code, a state or a link.
 */
export function createErrorHandler(logger: Logger, returnPages: ReturnPages): ErrorRequestHandler {
  return (thrown, request, response, _next) => {
    const { organizationId, browserFlow } = response.locals;
    const context = { request_id: request.id, organization_id: organizationId };
    const isAbandoned = hasCallerLeft(thrown);
    if (response.headersSent || response.destroyed || isAbandoned) {
      if (!isAbandoned) logger.warn({ event: 'response.cut_off', ...context, err: thrown }, 'response.cut_off');
      response.destroy(); // a truncated response must not look complete
      return;
    }
    const error = toAppError(thrown);
    response.locals.errorCode = error.code;
    response.locals.errorReason = error.reason;
    if (error.code === 'internal_error')
      logger.error({ event: 'request.failed', ...context, err: thrown }, 'request.failed');
    if (error.code === 'service_unavailable') {
      logger.warn({ event: 'service.unavailable', ...context, reason: causeOf(error) }, 'service.unavailable');
    }
    if (error.code === 'payload_too_large') response.set('Connection', 'close'); // the rest of the body is not read
    if (browserFlow && prefersHtml(request, response)) {
      const { system, returnUrl } = browserFlow;
      const outcome = { connected: 'false', system, error: error.code, request_id: request.id } as const;
      response.removeHeader('Retry-After'); // with a redirect, it would delay the browser
      redirect(response, returnPages.withOutcome(returnUrl, outcome));
      return;
    }
    const challenge = challengeOf(error);
    if (challenge) response.set('WWW-Authenticate', challenge);
    if (error.retryAfterSeconds !== undefined) response.set('Retry-After', String(error.retryAfterSeconds));
    response.status(ERRORS[error.code].status).type('application/problem+json').json(toProblem(error, request.id));
  };
}

/** The value of `WWW-Authenticate` (RFC 6750 §3). */
function challengeOf({ code, requiredScope }: AppError): string | undefined {
  if (requiredScope !== undefined) return `Bearer error="insufficient_scope", scope="${requiredScope}"`;
  return code === 'unauthorized' ? 'Bearer' : undefined;
}

function toProblem({ code, detail }: AppError, requestId: string): Problem {
  const { status, title } = ERRORS[code];
  return { type: 'about:blank', title, status, detail, code, request_id: requestId };
}

/** Why, or the code of what led to an error, such as `ECONNREFUSED`. */
function causeOf({ reason, cause }: AppError): string | undefined {
  if (!(cause instanceof Error)) return reason;
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? code : cause.name;
}

/** True for a browser that a user looks at. */
function prefersHtml(request: Request, response: Response): boolean {
  response.vary('Accept');
  return request.accepts(['application/problem+json', 'application/json', 'html']) === 'html';
}

function hasCallerLeft(thrown: unknown): boolean {
  const { code, name, type } = thrown as { code?: string; name?: string; type?: string };
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || name === 'AbortError' || type === 'request.aborted';
}

/**
 * The service's own errors as they are, a path that Express cannot decode as `invalid_request`, anything else, also
 * another `URIError`, as `internal_error`.
 */
function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const { status } = thrown as { status?: unknown };
  if (thrown instanceof URIError && status === 400) {
    return new AppError('invalid_request', { detail: 'path cannot be decoded' });
  }
  return new AppError('internal_error');
}
