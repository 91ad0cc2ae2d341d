import { AppError } from '../../errors.ts';
import type { RealmId } from '../../models/connection.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { AccountingStrategy } from '../../strategies/accounting-strategy.ts';
import type { Clock } from '../../utils/clock.ts';
import { parseRetryAfter } from '../../utils/retry-after.ts';
import type { CallSchedule, Turn } from './call-schedule.ts';

/** How long a company is not called after a 429 that does not say. */
const DEFAULT_PAUSE_SECONDS = 60;
const NO_LIMITS = { perSecond: 0, perMinute: 0 };

type Provider = Pick<AccountingStrategy, 'system' | 'profile'>;

interface Dependencies {
  schedule: CallSchedule;
  clock: Clock;
  metrics: Metrics;
}

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
   * Resolves when a call to the company may be sent, or returns undefined if it may be sent now.
   * @throws AppError `rate_limited`
   */
  acquire(provider: Provider, realmId: RealmId): Promise<void> | undefined {
    const turn = this.schedule.reserve(companyOf(provider, realmId), provider.profile.api.limits ?? NO_LIMITS);
    return turn instanceof Promise ? turn.then((shared) => this.take(shared, provider)) : this.take(turn, provider);
  }

  /** Records that the provider returned 429: until its `Retry-After` has elapsed, no call is sent to the company. */
  pause(provider: Provider, realmId: RealmId, retryAfter: string | undefined): void {
    const seconds = parseRetryAfter(retryAfter, this.clock.now()) ?? DEFAULT_PAUSE_SECONDS;
    this.schedule.pause(companyOf(provider, realmId), seconds * 1000);
  }

  private take(turn: Turn, { profile }: Provider): Promise<void> | undefined {
    if (turn.isReserved) return turn.waitMs > 0 ? this.wait(turn.waitMs) : undefined;
    this.metrics.companyCallsRejected.inc();
    throw new AppError('rate_limited', {
      detail: `${profile.title} accepts no more calls for this company at the moment. Please try again later.`,
      retryAfterSeconds: Math.ceil(turn.retryAfterMs / 1000),
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

function companyOf({ system }: Provider, realmId: RealmId): string {
  return `${system}:${realmId}`;
}
