import type { Connection } from '../models/connection.ts';

/** What a refresh may take beyond its call before its holder is thought dead. */
export const SAVE_MS = 5_000;
/** What a holder that was cut off from the database gets to save its answer before its lease is taken over. */
export const TAKEOVER_PAUSE_MS = 6_000;
/** How long a caller waits for a refresh while the current token still works. */
export const VALID_TOKEN_PATIENCE_MS = 100;
/** How long the provider is left alone after it refused this service itself. */
export const MISCONFIGURED_PAUSE_MS = 2_000;
/** How many time limits of a call a caller waits at most: his own answer comes before the second one is over. */
export const LONGEST_WAIT = 1.8;
/** How long a connection's tokens are left alone after a new one was refused as well. */
export const REFUSED_PAUSE_MS = 10_000;
/** How long a failure tries to give its lease back while the database is away. */
export const RELEASE_PATIENCE_MS = 1_000;

/** Above this much time left a token is handed out as it is. */
const FRESH_MS = 5 * 60_000;
/** Above this much it is handed out while a new one is fetched behind it. */
const USABLE_MS = 30_000;
/** Back-off doubles from the first to the longest; short enough to serve again soon after the provider is back. */
const FIRST_BACK_OFF_MS = 2_000;
const LONGEST_BACK_OFF_MS = 6_000;
const POLL_MS = 50;
const LONGEST_POLL_MS = 500;
/** A provider's own wish is kept, within reason. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

/** True while nothing needs to be done for the access token. */
export function isFresh(connection: Connection, now: Date): boolean {
  return timeLeft(connection, now) > FRESH_MS;
}

/** True while the access token outlives the request that it is fetched for. */
export function isUsable(connection: Connection, now: Date): boolean {
  return timeLeft(connection, now) > USABLE_MS;
}

/** True until the access token's end: better than none. */
export function isValid(connection: Connection, now: Date): boolean {
  return timeLeft(connection, now) > 0;
}

/** When the provider may be tried again after this many failures in a row. @param retryAfterSeconds its own wish. */
export function nextAttempt(failures: number, retryAfterSeconds: number | undefined, now: Date): Date {
  const backOff = Math.min(FIRST_BACK_OFF_MS * 2 ** (failures - 1), LONGEST_BACK_OFF_MS) * (0.5 + Math.random() / 2);
  const wish = Math.min((retryAfterSeconds ?? 0) * 1000, LONGEST_RETRY_AFTER_MS);
  return new Date(now.getTime() + Math.max(backOff, wish));
}

/** How long to wait, in milliseconds, before looking again what another process made of its refresh. */
export function pollPause(round: number): number {
  return Math.min(POLL_MS * round, LONGEST_POLL_MS) * (0.5 + Math.random());
}

function timeLeft(connection: Connection, now: Date): number {
  return connection.accessTokenExpiresAt.getTime() - now.getTime();
}
