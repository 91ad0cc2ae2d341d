import type { CompanyLimits } from '../../strategies/accounting-strategy.ts';

/** When a call may be sent, by the monotonic clock, or that it may not for now. */
export type Turn = { isReserved: true; from: number; until: number } | { isReserved: false; retryAfterMs: number };

/** The turns of calls to companies. */
export interface CallSchedule {
  /** Reserves the company's next turn, if it comes soon enough. Calls get their turns in the order of their requests. */
  reserve(company: string, limits: CompanyLimits): Turn | Promise<Turn>;
  /** Gives no turn for a while. */
  pause(company: string, milliseconds: number): void;
  /** Returns the milliseconds until the company's pause ends, if this process knows of one, or 0. */
  pauseLeftMs(company: string): number;
}

/** A call whose turn comes later than this is rejected. */
export const MAX_WAIT_MS = 2_000;
/** How long a turn lasts. A call that is sent later would meet those of later turns at the provider. */
export const MAX_DELAY_MS = 100;
/** How much longer than another a call may take to arrive at the provider. */
const NETWORK_MS = 100;

/** At most `max` calls within `ms` milliseconds. */
export interface Window {
  max: number;
  ms: number;
}

/**
 * The windows that limits mean for the sender. They are longer than the provider's, because calls are not all sent as soon as
 * their turn comes, and do not all take the same time to arrive. 10 calls in 1.2 s are Intuit's 500 per minute.
 */
export function windowsOf({ perSecond, perMinute }: CompanyLimits): Window[] {
  return [
    { max: perSecond, ms: 1_000 + MAX_DELAY_MS + NETWORK_MS },
    { max: perMinute, ms: 60_000 + MAX_DELAY_MS + NETWORK_MS },
  ].filter(({ max }) => max > 0);
}
