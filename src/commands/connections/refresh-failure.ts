import { isProviderDown, type RefreshResult } from '../../services/refresh-result.ts';
import type { WorkOutcome } from './for-each-connection.ts';

/** Why a refresh, or a recovery, decided nothing about the grant. */
export type RefreshFailure = 'unavailable' | 'deferred' | 'request_rejected';

export const REFRESH_OUTCOMES: Record<RefreshFailure, WorkOutcome> = {
  unavailable: 'provider_down',
  deferred: 'skipped',
  request_rejected: 'done',
};

export const REFRESH_EXPLANATIONS: Record<RefreshFailure, string> = {
  unavailable: 'the provider is not available, or rejects this service: try again later',
  deferred: 'its token was sent without success just now, or another process is sending it: try again later',
  request_rejected: 'the provider rejects the request itself, which a repetition does not change',
};

/** Returns why a refresh that was not rejected failed. */
export function toRefreshFailure(result: Extract<RefreshResult, { outcome: 'deferred' | 'failed' }>): RefreshFailure {
  if (result.outcome === 'deferred') return result.cause === 'provider_error' ? 'unavailable' : 'deferred';
  return isProviderDown(result.error) ? 'unavailable' : 'request_rejected';
}
