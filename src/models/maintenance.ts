import { type ActiveConnection, isExpired, type LostConnection, type NewConnection } from './connection.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How a provider's connections are maintained. */
export interface MaintenancePolicy {
  /** A refresh token is refreshed when it has no more than this left. */
  keepAliveMs: number;
  /** The user is notified each time the authorization has no more than one of these left, the longest first. */
  expiryNoticesMs: readonly number[];
  /** A connection is verified if the provider has not accepted it for this long; absent: never. */
  verifyIdleMs: number | undefined;
}

/** Near the end of the authorization a refresh gains nothing: once a day is enough. */
const KEEP_ALIVE_INTERVAL_MS = DAY_MS;
/** A connection whose verification failed is verified again after this time. */
const PROOF_RETRY_MS = MINUTE_MS;
/** The name of a company whose connection is used, and so never idle, is read again after this time. */
const COMPANY_READ_MS = 7 * DAY_MS;
/** Each refresh may move the end of the authorization by seconds: a notice is not repeated for that. */
const NOTICE_TOLERANCE_MS = 10 * MINUTE_MS;
/** A refresh of unknown outcome is retried after this time: longer than its lease lasts. */
const UNKNOWN_OUTCOME_RETRY_MS = 90_000;
/** The provider's outages return `invalid_grant` too, so a lost connection is retried at these times after the loss. */
const RECOVERY_MS = [10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS];
export const MAX_RECOVERIES = RECOVERY_MS.length;
/** A lost connection keeps its ciphertext for this long. */
const PURGE_MS = 30 * DAY_MS;

/** The facts of an active connection that decide its maintenance. */
type ActiveFacts = Pick<NewConnection, 'tokens' | 'lastVerifiedAt'> &
  Partial<Pick<ActiveConnection, 'refresh' | 'maintenance'>>;

/** The facts of a lost connection that decide its maintenance. */
type LostFacts = Pick<LostConnection, 'state' | 'reason' | 'lostAt' | 'maintenance'>;

/** When the worker looks at a connection next. Every write of `next_maintenance_at` but a claim comes from here. */
export function nextMaintenanceAt(
  connection: ({ state: 'active' } & ActiveFacts) | LostFacts,
  now: Date,
  policy: MaintenancePolicy,
): Date {
  return connection.state === 'active' ? nextOfActive(connection, now, policy) : nextOfLost(connection, now);
}

function nextOfActive(connection: ActiveFacts, now: Date, policy: MaintenancePolicy): Date {
  const { tokens, lastVerifiedAt, refresh, maintenance } = connection;
  const keepAliveAt = Math.max(
    tokens.refreshTokenExpiresAt.getTime() - policy.keepAliveMs,
    now.getTime() + KEEP_ALIVE_INTERVAL_MS,
  );
  const times = [keepAliveAt];
  if (refresh?.startedAt) times.push(now.getTime() + UNKNOWN_OUTCOME_RETRY_MS);
  if (!lastVerifiedAt || isVerificationRequested(connection)) times.push(now.getTime() + PROOF_RETRY_MS);
  else if (policy.verifyIdleMs !== undefined) {
    const nameDueAt = companyReadAt(connection, now) + COMPANY_READ_MS;
    times.push(lastVerifiedAt.getTime() + policy.verifyIdleMs, Math.max(nameDueAt, now.getTime()));
  }
  const noticeAt = nextNoticeAt(tokens.authorizationExpiresAt, maintenance?.expiryNotifiedAt, now, policy);
  if (noticeAt !== undefined) times.push(noticeAt);
  return new Date(Math.min(...times));
}

/** When the first notice that was not sent yet is due, in milliseconds since 1970; after the end there is none. */
function nextNoticeAt(
  expiresAt: Date | undefined,
  notifiedAt: Date | undefined,
  now: Date,
  policy: MaintenancePolicy,
): number | undefined {
  if (!expiresAt || expiresAt <= now) return undefined;
  return policy.expiryNoticesMs
    .map((noticeMs) => expiresAt.getTime() - noticeMs)
    .find((noticeAt) => !isNotified(noticeAt, notifiedAt));
}

/** @param noticeAt when the notice is due, in milliseconds since 1970 */
function isNotified(noticeAt: number, notifiedAt: Date | undefined): boolean {
  return notifiedAt !== undefined && notifiedAt.getTime() > noticeAt - NOTICE_TOLERANCE_MS;
}

/** In milliseconds since 1970; a new connection's name is read as it is made. */
function companyReadAt({ maintenance }: ActiveFacts, now: Date): number {
  return (maintenance ? maintenance.companyReadAt : now)?.getTime() ?? Number.NEGATIVE_INFINITY;
}

/**
 * Attempts that come late keep half their distance, since two within one outage count as one; no more, since an attempt whose
 * response was lost is repaired only within the provider's grace period, which may be a day.
 */
function nextOfLost({ reason, lostAt, maintenance: { recoveryAttempts } }: LostFacts, now: Date): Date {
  const recoveryMs = reason === 'refresh_token_expired' ? undefined : RECOVERY_MS[recoveryAttempts];
  if (recoveryMs === undefined) return nextPurgeAt({ lostAt }, now);
  const distanceMs = recoveryMs - (RECOVERY_MS[recoveryAttempts - 1] ?? 0);
  return new Date(Math.max(lostAt.getTime() + recoveryMs, now.getTime() + distanceMs / 2));
}

/** True if the refresh token would expire unused, or may have been replaced by one that was never received. */
export function needsKeepAlive({ tokens, refresh }: ActiveConnection, now: Date, policy: MaintenancePolicy): boolean {
  if (refresh.startedAt !== undefined) return true;
  return tokens.refreshTokenExpiresAt.getTime() - now.getTime() <= policy.keepAliveMs;
}

/**
 * True if the provider has not accepted the connection for so long that it may have ended unnoticed, or never has, or
 * not since a browser reported that it was ended.
 */
export function needsVerification(connection: ActiveConnection, now: Date, policy: MaintenancePolicy): boolean {
  const { lastVerifiedAt } = connection;
  if (!lastVerifiedAt || isVerificationRequested(connection)) return true;
  return policy.verifyIdleMs !== undefined && now.getTime() - lastVerifiedAt.getTime() >= policy.verifyIdleMs;
}

/** True if the company may have been renamed since its name was last read. */
export function needsCompanyName(connection: ActiveConnection, now: Date, policy: MaintenancePolicy): boolean {
  return policy.verifyIdleMs !== undefined && now.getTime() - companyReadAt(connection, now) >= COMPANY_READ_MS;
}

function isVerificationRequested({ lastVerifiedAt, maintenance }: ActiveFacts): boolean {
  const requestedAt = maintenance?.verificationRequestedAt;
  return requestedAt !== undefined && (lastVerifiedAt === undefined || lastVerifiedAt < requestedAt);
}

/** The notice that is due, in milliseconds before the end of the authorization; undefined if none is. */
export function dueExpiryNotice(
  { tokens: { authorizationExpiresAt }, maintenance: { expiryNotifiedAt } }: ActiveConnection,
  now: Date,
  policy: MaintenancePolicy,
): number | undefined {
  if (!authorizationExpiresAt || authorizationExpiresAt <= now) return undefined;
  const due = policy.expiryNoticesMs.filter((noticeMs) => {
    const noticeAt = authorizationExpiresAt.getTime() - noticeMs;
    return noticeAt <= now.getTime() && !isNotified(noticeAt, expiryNotifiedAt);
  });
  return due.at(-1);
}

/** True if a lost connection is to be retried: it may turn out to be alive. */
export function isRecoverable(lost: LostConnection, now: Date): boolean {
  return lost.maintenance.recoveryAttempts < MAX_RECOVERIES && hasUsableToken(lost, now);
}

/** True if a lost connection's refresh token can be sent, also after a clock was wrong and the token had not expired. */
export function hasUsableToken({ tokens }: LostConnection, now: Date): boolean {
  return tokens !== undefined && !isExpired(tokens, now);
}

/** When the worker looks at a lost connection whose ciphertext is to be deleted: not at once again if two clocks disagree. */
export function nextPurgeAt(lost: Pick<LostConnection, 'lostAt'>, now: Date): Date {
  return new Date(Math.max(purgeAt(lost).getTime(), now.getTime() + HOUR_MS));
}

/** When a lost connection's ciphertext is deleted. */
export function purgeAt({ lostAt }: Pick<LostConnection, 'lostAt'>): Date {
  return new Date(lostAt.getTime() + PURGE_MS);
}
