/**
 * Whom a provider's failure concerns, and so what a caller can do about it.
 * - `rejected`: this grant, code or company.
 * - `application_rejected`: this service's key pair; no connection is at fault.
 * - `request_rejected`: this one request, which is malformed: a fault of this service.
 * - `unavailable`: the provider; the same call may succeed later.
 * - `unreadable`: the provider; it accepted the call, but its response cannot be used.
 */
export type ProviderFailure = 'rejected' | 'application_rejected' | 'request_rejected' | 'unavailable' | 'unreadable';

interface ProviderErrorDetails {
  /** Absent if no response arrived. */
  status?: number | undefined;
  /** A known error code of RFC 6749 §5.2, or the code of a failed network connection. For the log alone. */
  reason?: string | undefined;
  intuitTid?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** True if the provider may have done what it was asked: a token that was sent may be used up. */
  isOutcomeUnknown?: boolean;
  /** True if this service stopped waiting: the provider may still be processing the call. */
  isTimeout?: boolean;
  /** True if this service noticed in time that it must not send the request any more. */
  isTooLate?: boolean;
}

/** What is kept of a provider's failure. Never its text, which can quote tokens, and never a cause. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly failure: ProviderFailure;
  readonly details: ProviderErrorDetails;

  constructor(failure: ProviderFailure, details: ProviderErrorDetails = {}) {
    super(`provider ${failure}: ${[details.status, details.reason].filter(Boolean).join(' ') || 'no response'}`);
    this.failure = failure;
    this.details = details;
  }

  /** The fields of a log line. */
  toLog(): object {
    const { status, reason, intuitTid, retryAfterSeconds } = this.details;
    return { failure: this.failure, status, reason, intuit_tid: intuitTid, retry_after_s: retryAfterSeconds };
  }
}

/** True for a `ProviderError` with one of these failures. */
export function isProviderError(error: unknown, ...failures: ProviderFailure[]): error is ProviderError {
  return error instanceof ProviderError && (failures.length === 0 || failures.includes(error.failure));
}
