import { type ActiveConnection, isExpired } from '../models/connection.ts';
import { backOffMs } from '../utils/back-off.ts';
import type { Clock } from '../utils/clock.ts';

/** Time for saving a refresh's response, beyond the call itself, before its lease may be taken over. */
export const SAVE_MS = 5_000;
/** Time that the holder of a lease has to save its response after a takeover was announced. */
export const TAKEOVER_PAUSE_MS = 6_000;
/**
 * Time after a failover of the database in which nothing is refreshed, so that every process can write back what the new
 * server lacks: one that waits for a server that is gone notices it after the session's limit for a statement.
 */
export const RESTORE_MS = 6_000;
/** The longest time after a failover in which nothing is refreshed, even if a row could not be written back. */
export const MAX_RESTORE_MS = 60_000;
/** How long a lease under which nothing was sent is looked for at least, in case its acquiring write takes effect late. */
export const ABANDON_MS = 10_000;
/** Leases of other processes that are observed at once; beyond that, observation begins anew. */
export const MAX_OBSERVED_LEASES = 10_000;
/** How long a caller waits for a refresh while the current token is still valid. */
export const VALID_TOKEN_WAIT_MS = 100;
/** How long a caller waits for a refresh, in call timeouts: its response arrives before a second call times out. */
export const MAX_WAIT_TIMEOUTS = 1.8;
/** How long the provider is not called after it rejected this service itself. */
export const APPLICATION_COOLDOWN_MS = 2_000;
/** How long a connection is not refreshed after the provider rejected a token that was just refreshed. */
export const REJECTED_TOKEN_COOLDOWN_MS = 10_000;
/** How long a failed refresh attempts to release its lease while the database is unavailable. */
export const RELEASE_TIMEOUT_MS = 1_000;

/** With more time left than this, a token is returned as it is. */
const FRESH_MS = 5 * 60_000;
/** With more time left than this, a token is returned while a new one is fetched in the background. */
const USABLE_MS = 30_000;
/** Back-off between failed refreshes: short enough to serve again soon after the provider is back. */
const MIN_BACK_OFF_MS = 2_000;
const MAX_BACK_OFF_MS = 6_000;
/** The provider's own `Retry-After` is respected up to this. */
const MAX_RETRY_AFTER_MS = 3_600_000;
const MIN_POLL_MS = 50;
const MAX_POLL_MS = 500;

/** True while nothing has to be done about the access token. */
export function isFresh(connection: ActiveConnection, now: Date): boolean {
  return timeLeftMs(connection, now) > FRESH_MS;
}

/** True while the access token outlives the request that it is fetched for. */
export function isUsable(connection: ActiveConnection, now: Date): boolean {
  return timeLeftMs(connection, now) > USABLE_MS;
}

/** True until the access token expires. */
export function isValid(connection: ActiveConnection, now: Date): boolean {
  return timeLeftMs(connection, now) > 0;
}

/** True if the refresh token has expired as the provider stated, so that sending it is pointless. */
export function isRefreshTokenExpired({ tokens, refresh }: ActiveConnection, now: Date): boolean {
  const isLeased = refresh.owner !== undefined; // the holder's response may still arrive
  return isExpired(tokens, now) && !isLeased;
}

/** Milliseconds until the provider may be called again after this many consecutive failures. */
export function refreshBackOffMs(failures: number, retryAfterSeconds: number | undefined, clock: Clock): number {
  const ownMs = backOffMs({ attempt: failures, minMs: MIN_BACK_OFF_MS, maxMs: MAX_BACK_OFF_MS, clock });
  return Math.max(ownMs, Math.min((retryAfterSeconds ?? 0) * 1000, MAX_RETRY_AFTER_MS));
}

/** Milliseconds before another process's refresh is looked at again. @param round 1 for the first look */
export function pollMs(round: number, clock: Clock): number {
  return Math.min(MIN_POLL_MS * round, MAX_POLL_MS) * (0.5 + clock.random());
}

function timeLeftMs({ tokens }: ActiveConnection, now: Date): number {
  return tokens.accessTokenExpiresAt.getTime() - now.getTime();
}
