import { AppError, type ErrorCode } from '../errors.ts';
import { ProviderError } from '../strategies/accounting-strategy.ts';

const RETRY_AFTER_SECONDS = 5;
const LONGEST_RETRY_AFTER_SECONDS = 3_600;

/** A provider's failure as the caller is told of it; other errors pass unchanged. @param refused what a refusal means in this call. */
export function toAppError(error: unknown, refused: { code: ErrorCode; detail: string }): unknown {
  if (!(error instanceof ProviderError)) return error;
  switch (error.failure) {
    case 'refused':
      return new AppError(refused.code, refused.detail);
    case 'unavailable':
      return providerUnavailable(error.facts.retryAfterSeconds);
    case 'misconfigured':
    case 'unreadable':
      return providerError();
  }
}

/** @param seconds until it is worth trying again, rounded up. */
export function providerUnavailable(seconds: number = RETRY_AFTER_SECONDS, reason?: string): AppError {
  const retryAfter = Math.min(Math.max(1, Math.ceil(seconds)), LONGEST_RETRY_AFTER_SECONDS);
  return new AppError(
    'provider_unavailable',
    'QuickBooks is not answering just now. Please try again later.',
    retryAfter,
    reason,
  );
}

/** The provider refused this service itself, or cannot be understood. @param reason for the log alone */
export function providerError(reason?: string): AppError {
  return new AppError('provider_error', 'QuickBooks answered this service in a way it cannot use.', undefined, reason);
}

/** There is no connection, nor was one lost. */
export function connectionNotFound(): AppError {
  return new AppError('connection_not_found', 'This organization is not connected to QuickBooks.');
}

/** The connection is lost: only the person can mend it. */
export function reauthorizationRequired(): AppError {
  return new AppError('reauthorization_required', 'The connection to QuickBooks was lost. Please connect again.');
}
