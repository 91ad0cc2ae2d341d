import { AppError } from '../../errors.ts';
import type { RealmId } from '../../models/connection.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { AccountingStrategy, CompanyLimits } from '../../strategies/accounting-strategy.ts';
import type { Clock } from '../../utils/clock.ts';
import type { CallSchedule } from './call-schedule.ts';

/** How long a company is not called after a 429 that does not say. */
const DEFAULT_PAUSE_SECONDS = 60;
/** A longer `Retry-After` can only be a mistake: Redis would keep it across restarts. */
const MAX_PAUSE_SECONDS = 86_400;
/** A call that misses so many turns is rejected: the process is overloaded. */
const MAX_TURNS = 3;
const RETRY_MS = 1_000;
const NO_LIMITS = { perSecond: 0, perMinute: 0 };

type Provider = Pick<AccountingStrategy, 'system' | 'profile'>;

interface Dependencies {
  schedule: CallSchedule;
  clock: Clock;
  metrics: Metrics;
}

/** A call was not sent, because its turn was over. */
export class TurnMissedError extends Error {}

/** Keeps the calls to each company below the provider's limits. */
export class CompanyLimiter {
  private readonly schedule: CallSchedule;
  private readonly clock: Clock;
  private readonly metrics: Metrics;

  constructor({ schedule, clock, metrics }: Dependencies) {
    this.schedule = schedule;
    this.clock = clock;
    this.metrics = metrics;
  }

  /**
   * Sends a call to the company when it may be sent.
   * @param send throws TurnMissedError if it cannot send the call before this time, by the monotonic clock
   * @throws AppError `rate_limited`
   */
  async run<T>(provider: Provider, realmId: RealmId, send: (before: number) => Promise<T>): Promise<T> {
    for (let turn = 1; turn <= MAX_TURNS; turn += 1) {
      const before = await this.acquire(provider, realmId);
      try {
        return await send(before);
      } catch (error) {
        if (!(error instanceof TurnMissedError)) throw error;
        this.metrics.companyTurnsMissed.inc();
      }
    }
    throw this.reject(provider, RETRY_MS);
  }

  /**
   * Resolves when a call to the company may be sent, with the time until which it may, by the monotonic clock.
   * @throws AppError `rate_limited`
   */
  async acquire(provider: Provider, realmId: RealmId): Promise<number> {
    const company = companyOf(provider, realmId);
    const turn = await this.schedule.reserve(company, limitsOf(provider));
    if (!turn.isReserved) throw this.reject(provider, turn.retryAfterMs);
    const waitMs = turn.from - this.clock.monotonicMs();
    if (waitMs > 0) {
      await this.wait(waitMs);
      const pauseMs = this.schedule.pauseLeftMs(company); // the provider may have returned 429 meanwhile
      if (pauseMs > 0) throw this.reject(provider, pauseMs);
    }
    return turn.until;
  }

  /**
   * Counts a call that was sent whatever the limits, and neither waits nor fails because of them: it takes the next turn. If there
   * is none soon enough, it is not counted.
   */
  count(provider: Provider, realmId: RealmId): void {
    void this.schedule.reserve(companyOf(provider, realmId), limitsOf(provider));
  }

  /** Records that the provider returned 429: until its `Retry-After` has elapsed, no call is sent to the company. */
  pause(provider: Provider, realmId: RealmId, retryAfterSeconds = DEFAULT_PAUSE_SECONDS): void {
    const seconds = Math.min(retryAfterSeconds, MAX_PAUSE_SECONDS);
    this.metrics.companyThrottled.inc();
    this.schedule.pause(companyOf(provider, realmId), seconds * 1000);
  }

  private reject({ profile }: Provider, retryAfterMs: number): AppError {
    this.metrics.companyCallsRejected.inc();
    return new AppError('rate_limited', {
      detail: `${profile.title} accepts no more calls for this company at the moment. Please try again later.`,
      retryAfterSeconds: Math.ceil(retryAfterMs / 1000),
    });
  }

  private async wait(milliseconds: number): Promise<void> {
    this.metrics.companyCallsDeferred.inc();
    this.metrics.companyCallsWaiting.inc();
    try {
      await this.clock.sleep(Math.ceil(milliseconds));
    } finally {
      this.metrics.companyCallsWaiting.dec();
    }
  }
}

function limitsOf({ profile }: Provider): CompanyLimits {
  return profile.api.limits ?? NO_LIMITS;
}

function companyOf({ system }: Provider, realmId: RealmId): string {
  return `${system}:${realmId}`;
}
