import type { Connection, LossReason, NewConnection } from './connection.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** An active connection is refreshed when its refresh token has no more than this left. */
const KEEP_ALIVE_MS = 14 * DAY_MS;
/** Near the five-year end a refresh gains nothing: once a day is enough. */
const KEEP_ALIVE_AGAIN_MS = DAY_MS;
/** The five-year end is told when it is no further than this. */
const EXPIRING_MS = 30 * DAY_MS;
/** A company's name that could not be read is read soon. */
const NAME_MS = MINUTE_MS;
/** Outages answer `invalid_grant`: a lost connection is tried again so long after it was lost. */
const RECOVERY_MS = [10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS];
/** A refresh of unknown outcome is tried again so soon, though nobody asks: Intuit may take the old token for a while. */
const UNKNOWN_OUTCOME_MS = MINUTE_MS;
/** A lost connection keeps its ciphertext for so long. */
const FORGET_MS = 30 * DAY_MS;

/** True where the refresh token would end if nobody used it, or may be replaced by one that never arrived. */
export function needsKeepAlive({ refreshTokenExpiresAt, refresh }: Connection, now: Date): boolean {
  return refresh.startedAt !== undefined || refreshTokenExpiresAt.getTime() - now.getTime() <= KEEP_ALIVE_MS;
}

/** True where the five-year end is near and was not told yet. */
export function needsTelling({ refreshTokenHardExpiresAt, care }: Connection, now: Date): boolean {
  if (care.isExpiringTold || !refreshTokenHardExpiresAt) return false;
  const left = refreshTokenHardExpiresAt.getTime() - now.getTime();
  return left > 0 && left <= EXPIRING_MS;
}

/** True where a lost connection may still turn out to be alive. */
export function isRecoverable({ lossReason, refreshTokenExpiresAt, care }: Connection, now: Date): boolean {
  return lossReason !== 'refresh_token_expired' && care.recoveries < RECOVERY_MS.length && refreshTokenExpiresAt > now;
}

/** When an active connection needs the worker next. */
export function nextCareOfActive(
  connection: Pick<NewConnection, 'companyName' | 'refreshTokenExpiresAt' | 'refreshTokenHardExpiresAt'>,
  isExpiringTold: boolean,
  now: Date,
): Date {
  const keepAlive = Math.max(
    connection.refreshTokenExpiresAt.getTime() - KEEP_ALIVE_MS,
    now.getTime() + KEEP_ALIVE_AGAIN_MS,
  );
  const hardEnd = connection.refreshTokenHardExpiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  const telling = isExpiringTold ? Number.POSITIVE_INFINITY : hardEnd - EXPIRING_MS;
  const naming = connection.companyName === undefined ? now.getTime() + NAME_MS : Number.POSITIVE_INFINITY;
  return new Date(Math.min(keepAlive, telling, naming));
}

/** When a connection needs the worker whose refresh is not heard of again. @param milliseconds until its lease ends */
export function nextCareOfUnknown(now: Date, milliseconds = 0): Date {
  return new Date(now.getTime() + milliseconds + UNKNOWN_OUTCOME_MS);
}

/**
 * When a lost connection needs the worker next. Tries that come late keep their distances: two in one outage are one.
 * @param recoveries how often it was tried in vain
 */
export function nextCareOfLost(reason: LossReason, lostAt: Date, recoveries: number, now: Date): Date {
  const recovery = reason === 'refresh_token_expired' ? undefined : RECOVERY_MS[recoveries];
  if (recovery === undefined) return new Date(lostAt.getTime() + FORGET_MS);
  const distance = recovery - (RECOVERY_MS[recoveries - 1] ?? 0);
  return new Date(Math.max(lostAt.getTime() + recovery, now.getTime() + distance));
}

/** True where a lost connection's ciphertext is to be deleted. */
export function isForgotten({ deactivatedAt }: Connection, now: Date): boolean {
  return deactivatedAt !== undefined && now.getTime() - deactivatedAt.getTime() >= FORGET_MS;
}
