/** At most so many calls to each company within any second, and within any minute. */
export interface ThrottleLimits {
  perSecond: number;
  perMinute: number;
}

/** Intuit's. */
export const INTUIT_LIMITS: ThrottleLimits = { perSecond: 10, perMinute: 500 };

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** A call to a company. Times are in milliseconds. */
export interface ThrottledCall {
  realmId: string;
  handledAt: number;
  /** The earliest time at which it can have arrived. */
  arrivedAt: number;
}

/** When each company was called. */
export class Throttle {
  private readonly accepted = new Map<string, number[]>();

  /** Counts a call, or returns false if the company certainly had too many. */
  accepts({ realmId, handledAt, arrivedAt }: ThrottledCall, { perSecond, perMinute }: ThrottleLimits): boolean {
    const arrivals = this.accepted.get(realmId) ?? [];
    if (handledAt - (arrivals.at(-perSecond) ?? Number.NEGATIVE_INFINITY) < SECOND_MS) return false;
    if (handledAt - (arrivals.at(-perMinute) ?? Number.NEGATIVE_INFINITY) < MINUTE_MS) return false;
    arrivals.push(arrivedAt);
    if (arrivals.length > Math.max(perSecond, perMinute)) arrivals.shift();
    this.accepted.set(realmId, arrivals);
    return true;
  }
}
