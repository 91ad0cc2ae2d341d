/** At most so many calls to each company within any second, and within any minute. */
export interface ThrottleLimits {
  perSecond: number;
  perMinute: number;
}

/** Intuit's. */
export const INTUIT_LIMITS: ThrottleLimits = { perSecond: 10, perMinute: 500 };

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** When each company was called. */
export class Throttle {
  private readonly accepted = new Map<string, number[]>();

  /** Counts a call, or returns false if the company had too many. @param now in milliseconds */
  accepts(realmId: string, { perSecond, perMinute }: ThrottleLimits, now: number): boolean {
    const calls = this.accepted.get(realmId) ?? [];
    if (now - (calls.at(-perSecond) ?? Number.NEGATIVE_INFINITY) < SECOND_MS) return false;
    if (now - (calls.at(-perMinute) ?? Number.NEGATIVE_INFINITY) < MINUTE_MS) return false;
    calls.push(now);
    if (calls.length > Math.max(perSecond, perMinute)) calls.shift();
    this.accepted.set(realmId, calls);
    return true;
  }
}
