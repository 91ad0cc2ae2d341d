import type { CompanyLimits } from '../../strategies/accounting-strategy.ts';

/** When a call may be sent: after a wait, for which its turn is reserved, or not at all for now. */
export type Turn = { isReserved: true; waitMs: number } | { isReserved: false; retryAfterMs: number };

/** The turns of calls to companies. */
export interface CallSchedule {
  /** Reserves the company's next turn, if it comes soon enough. Calls get their turns in the order of their requests. */
  reserve(company: string, limits: CompanyLimits): Turn | Promise<Turn>;
  /** Gives no turn for a while. */
  pause(company: string, milliseconds: number): void;
}

/** A call whose turn comes later than this is rejected. */
export const MAX_WAIT_MS = 2_000;

/** At most `max` calls within `ms` milliseconds. */
export interface Window {
  max: number;
  ms: number;
}

/**
 * The windows that limits mean for the sender. They are longer than the provider's, because calls do not all take the same
 * time to arrive there.
 */
export function windowsOf({ perSecond, perMinute }: CompanyLimits): Window[] {
  return [
    { max: perSecond, ms: 1_100 },
    { max: perMinute, ms: 60_500 },
  ].filter(({ max }) => max > 0);
}
