/** How one error is returned to a caller. */
interface ErrorDefinition {
  /** The HTTP status. */
  status: number;
  /** The status' name, as RFC 9457 asks for with `about:blank`. */
  title: string;
  /** When it is returned, for the API reference. */
  meaning: string;
  /** What a person reads, unless the code that throws the error says something more specific. */
  detail: string;
}

/** Every error that a caller can receive. The error handler, the API reference and its examples read this table. */
export const ERRORS = {
  invalid_request: {
    status: 400,
    title: 'Bad Request',
    meaning: 'a parameter is missing, malformed, repeated or too long (`detail` names it), or the path is not usable',
    detail: 'The request is not valid.',
  },
  invalid_state: {
    status: 400,
    title: 'Bad Request',
    meaning: "the state is forged, expired (10 minutes), already used, or another browser's",
    detail: 'This sign-in was already completed. Please start connecting again.',
  },
  authorization_code_rejected: {
    status: 400,
    title: 'Bad Request',
    meaning: 'Intuit rejected the code',
    detail: 'The sign-in was not accepted. Please start connecting again.',
  },
  company_mismatch: {
    status: 400,
    title: 'Bad Request',
    meaning: 'the new token does not give access to the company named by `realmId`, or the link is for another company',
    detail: 'The sign-in does not give access to the chosen company. Please connect again.',
  },
  invalid_confirmation: {
    status: 400,
    title: 'Bad Request',
    meaning: "the confirmation is wrong, expired, used, or another organization's",
    detail: 'This connection can no longer be confirmed. Please start connecting again.',
  },
  unauthorized: {
    status: 401,
    title: 'Unauthorized',
    meaning: "credentials are missing or invalid, or the link is consumed, expired, altered or another organization's",
    detail: 'Valid credentials are required to call this service.',
  },
  forbidden: {
    status: 403,
    title: 'Forbidden',
    meaning:
      "the credentials are another organization's or lack the required scope, a page of a foreign `Origin` sent a POST, or no credentials are required and `Host` is foreign",
    detail: 'These credentials are for another organization.',
  },
  not_found: {
    status: 404,
    title: 'Not Found',
    meaning: 'there is no such route',
    detail: 'There is no such route.',
  },
  connection_not_found: {
    status: 404,
    title: 'Not Found',
    meaning: 'the organization has no connection: it never had one, or it was disconnected',
    detail: 'This organization is not connected.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method Not Allowed',
    meaning: 'the route has other methods, which `Allow` lists',
    detail: 'This route does not support this method.',
  },
  reauthorization_required: {
    status: 409,
    title: 'Conflict',
    meaning: 'the connection is lost (the status says why): the user must connect again',
    detail: 'The connection was lost. Please connect again.',
  },
  payload_too_large: {
    status: 413,
    title: 'Payload Too Large',
    meaning: 'the body is larger than 100 MiB at the gateway, or than 16 KiB elsewhere',
    detail: 'The body is larger than 100 MiB.',
  },
  headers_too_large: {
    status: 431,
    title: 'Request Header Fields Too Large',
    meaning: 'the headers are larger than 32 KiB',
    detail: 'The headers are larger than 32 KiB.',
  },
  rate_limited: {
    status: 429,
    title: 'Too Many Requests',
    meaning: "there were too many requests within a minute, or too many calls to the organization's company",
    detail: 'Too many requests. Please try again in a minute.',
  },
  internal_error: {
    status: 500,
    title: 'Internal Server Error',
    meaning: 'an internal fault; no details are exposed',
    detail: 'An internal error occurred.',
  },
  provider_error: {
    status: 502,
    title: 'Bad Gateway',
    meaning:
      'Intuit rejected this service itself, redirected, or returned something unreadable, or rejected an access token that was just refreshed',
    detail: 'The accounting system returned a response that this service cannot use.',
  },
  outcome_unknown: {
    status: 504,
    title: 'Gateway Timeout',
    meaning:
      'a POST was sent to the accounting system and no response arrived: it may have been processed, so repeat it only with the same `Idempotency-Key` or `requestid`',
    detail: 'The accounting system did not respond, and may have processed the request.',
  },
  provider_unavailable: {
    status: 503,
    title: 'Service Unavailable',
    meaning: 'Intuit did not respond in time, or its token endpoint is overloaded or failing',
    detail: 'The accounting system is not available at the moment. Please try again later.',
  },
  service_unavailable: {
    status: 503,
    title: 'Service Unavailable',
    meaning:
      'the database is unavailable, not migrated or being restored after a failover, the key set that JWTs are verified against is unavailable, or too many large requests are in progress',
    detail: 'This service is temporarily unavailable. Please try again later.',
  },
} as const satisfies Record<string, ErrorDefinition>;

/** Names an error for programs. Independent of HTTP inside the service. */
export type ErrorCode = keyof typeof ERRORS;

interface AppErrorOptions {
  /** Replaces the table's text. Read by people: never a secret, never the provider's own text. */
  detail?: string | undefined;
  /** Whole seconds after which the same request may succeed. */
  retryAfterSeconds?: number | undefined;
  /** The scope that the credentials lack. */
  requiredScope?: string | undefined;
  /** A fixed text that says why, for the log alone: never a part of what was sent. */
  reason?: string | undefined;
  /** What led to it, for the log alone. Never an error that contains a credential. */
  cause?: unknown;
}

/** A failure that is reported to a caller. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryAfterSeconds: number | undefined;
  readonly requiredScope: string | undefined;
  readonly reason: string | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const detail = options.detail ?? ERRORS[code].detail;
    super(`${code}: ${detail}`, { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.requiredScope = options.requiredScope;
    this.reason = options.reason;
  }
}

/** True for an `AppError` with one of these codes. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is AppError {
  return error instanceof AppError && codes.includes(error.code);
}
