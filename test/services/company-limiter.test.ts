import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RealmId } from '../../src/models/connection.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { RedisConnection } from '../../src/redis/redis-connection.ts';
import { CompanyLimiter, TurnMissedError } from '../../src/services/gateway/company-limiter.ts';
import { LocalCallSchedule } from '../../src/services/gateway/local-call-schedule.ts';
import { SharedCallSchedule } from '../../src/services/gateway/shared-call-schedule.ts';
import { type Clock, systemClock } from '../../src/utils/clock.ts';
import { TestClock } from '../support/test-clock.ts';

const LIMITS = { perSecond: 10, perMinute: 500 };
const COMPANY = '1' as RealmId;
const PROVIDER = { system: 'quickbooks', profile: { title: 'QuickBooks', api: { limits: LIMITS } } } as Parameters<
  CompanyLimiter['run']
>[0];
/** How much longer than another a call may take to arrive. */
const NETWORK_MS = 100;

describe('the turns of calls to a company', () => {
  it.each([
    [LIMITS.perSecond, 1_000],
    [LIMITS.perMinute, 60_000],
  ])('never let more than %i calls arrive within %i ms, however late in their turn they are sent', (max, ms) => {
    const call = fc.record({
      pause: fc.integer({ min: 0, max: 230 }),
      delay: fc.integer({ min: 0, max: 100 }),
      way: fc.integer({ min: 0, max: NETWORK_MS }),
    });
    fc.assert(
      fc.property(fc.array(call, { minLength: 600, maxLength: 900 }), (calls) => {
        const arrivals = arrivalsOf(calls);
        for (let index = max; index < arrivals.length; index += 1) {
          expect((arrivals[index] ?? 0) - (arrivals[index - max] ?? 0)).toBeGreaterThanOrEqual(ms);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('are given to a call three times, which is rejected after that', async () => {
    const limiter = createLimiter(systemClock);
    let times = 0;
    const send = async () => {
      times += 1;
      throw new TurnMissedError();
    };
    await expect(limiter.run(PROVIDER, COMPANY, send)).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 1,
    });
    expect(times).toBe(3);
  });

  it('are given again after a day, whatever Retry-After says', async () => {
    const clock = new TestClock();
    clock.stop();
    const limiter = createLimiter(clock);
    limiter.pause(PROVIDER, COMPANY, 1e9);
    await expect(limiter.acquire(PROVIDER, COMPANY)).rejects.toMatchObject({ retryAfterSeconds: 86_400 });
    clock.advance(86_400_000);
    await limiter.acquire(PROVIDER, COMPANY);
  });
});

describe('the turns that replicas share through Redis', () => {
  const clock = new TestClock();
  clock.stop();
  /** What Redis replies, in order; undefined while it is unavailable. */
  let replies: (number | undefined)[] = [];
  const local = new LocalCallSchedule(clock);
  const redis = { attempt: async () => replies.shift() } as unknown as RedisConnection;
  const schedule = new SharedCallSchedule({ redis, local, clock });
  const reserve = async () => schedule.reserve('company', { perSecond: 1, perMinute: 0 });
  const turn = (waitMs: number) => {
    const from = clock.monotonicMs() + waitMs;
    return { isReserved: true, from, until: from + 100 };
  };

  it('wait for a Redis that is unavailable for a moment, and are given by each replica after that', async () => {
    replies = [0];
    expect(await reserve()).toEqual(turn(0));

    replies = [undefined, 300];
    const later = reserve();
    await clock.nextTurn();
    clock.advance(1_100);
    expect(await later).toEqual(turn(300));

    clock.advance(2_001);
    replies = [undefined];
    expect(await reserve()).toEqual(turn(0));
  });

  it('count at their replica too, which respects them if Redis fails', async () => {
    clock.advance(60_000);
    replies = [1_500];
    expect(await reserve()).toEqual(turn(1_500));
    clock.advance(2_001);
    replies = [undefined];
    expect(await reserve()).toEqual(turn(1_500 + 1_200 - 2_001));
  });
});

function createLimiter(clock: Clock): CompanyLimiter {
  return new CompanyLimiter({ schedule: new LocalCallSchedule(clock), clock, metrics: createMetrics() });
}

/** When calls that are requested at random times arrive, in order: sent within their turns, after different times on the way. */
function arrivalsOf(calls: { pause: number; delay: number; way: number }[]): number[] {
  let now = 0;
  const schedule = new LocalCallSchedule({ ...systemClock, monotonicMs: () => now });
  const arrivals: number[] = [];
  for (const { pause, delay, way } of calls) {
    now += pause;
    const turn = schedule.reserve('company', LIMITS);
    if (turn.isReserved) arrivals.push(Math.min(turn.from + delay, turn.until) + way);
  }
  return arrivals.sort((a, b) => a - b);
}
