/** Everything that can go wrong towards a caller. The table that gives each code its HTTP status is in `middleware/error-handler.ts`. */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_state'
  | 'authorization_code_rejected'
  | 'company_mismatch'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'connection_not_found'
  | 'method_not_allowed'
  | 'reauthorization_required'
  | 'payload_too_large'
  | 'rate_limited'
  | 'internal_error'
  | 'provider_error'
  | 'provider_unavailable'
  | 'service_unavailable';

/** A failure that a caller is told of: `detail` is shown to a person, so it holds no secret and no text of Intuit's. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly detail: string;
  /** Whole seconds after which the same request may succeed. */
  readonly retryAfterSeconds: number | undefined;
  /** For the log alone: what lies behind it, as a code. */
  readonly reason: string | undefined;

  constructor(code: ErrorCode, detail: string, retryAfterSeconds?: number, reason?: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
    this.retryAfterSeconds = retryAfterSeconds;
    this.reason = reason;
  }
}
