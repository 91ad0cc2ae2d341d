import { AppError, type ErrorCode } from '../errors.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import { ProviderError } from '../strategies/provider-error.ts';

const DEFAULT_RETRY_AFTER_SECONDS = 5;
const MAX_RETRY_AFTER_SECONDS = 3_600;

type Provider = Pick<AccountingStrategy, 'profile'>;

/** The error that a caller receives for a provider's failure. Other errors are returned unchanged. @param rejected the code for a rejection */
export function toAppError(error: unknown, provider: Provider, rejected: ErrorCode): unknown {
  if (!(error instanceof ProviderError)) return error;
  switch (error.failure) {
    case 'rejected':
      return new AppError(rejected);
    case 'unavailable':
      return providerUnavailable(provider, error.details.retryAfterSeconds);
    case 'application_rejected':
    case 'request_rejected':
    case 'unreadable':
      return providerError(provider);
  }
}

/** @param seconds until a retry makes sense; rounded up, at most an hour */
export function providerUnavailable({ profile }: Provider, seconds = DEFAULT_RETRY_AFTER_SECONDS): AppError {
  return new AppError('provider_unavailable', {
    detail: `${profile.title} is not available at the moment. Please try again later.`,
    retryAfterSeconds: Math.min(Math.max(1, Math.ceil(seconds)), MAX_RETRY_AFTER_SECONDS),
  });
}

/** The provider may have processed a request whose response did not arrive. */
export function outcomeUnknown({ profile }: Provider): AppError {
  return new AppError('outcome_unknown', {
    detail: `${profile.title} did not respond, and may have processed the request. Please check before repeating it.`,
  });
}

/** The provider rejected this service itself, or its response cannot be used. */
export function providerError({ profile }: Provider): AppError {
  return new AppError('provider_error', {
    detail: `${profile.title} returned a response that this service cannot use.`,
  });
}

/** There is no connection, and none was lost. */
export function connectionNotFound({ profile }: Provider): AppError {
  return new AppError('connection_not_found', { detail: `This organization is not connected to ${profile.title}.` });
}

/** The connection is lost: only the user can restore it. */
export function reauthorizationRequired({ profile }: Provider): AppError {
  return new AppError('reauthorization_required', {
    detail: `The connection to ${profile.title} was lost. Please connect again.`,
  });
}
