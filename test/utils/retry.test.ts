import { describe, expect, it } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import { retry } from '../../src/utils/retry.ts';
import { TestClock } from '../support/test-clock.ts';

const unavailable = new AppError('service_unavailable');

describe('retry', () => {
  it('returns what the work returns', async () => {
    const clock = new SleeplessClock();
    expect(await retry(async () => 'done', { clock })).toBe('done');
    expect(clock.pauses).toEqual([]);
  });

  it('repeats the work while the database is unavailable, after pauses that double up to half a second', async () => {
    const clock = new SleeplessClock();
    const work = failing(5, unavailable);
    expect(await retry(work.run, { clock })).toBe('done');
    expect(work.runs()).toBe(6);
    expect(clock.pauses).toEqual([100, 200, 400, 500, 500]);
  });

  it('has no limit unless one is given', async () => {
    const clock = new SleeplessClock();
    const work = failing(10_000, unavailable);
    expect(await retry(work.run, { clock })).toBe('done');
    expect(clock.monotonicMs()).toBeGreaterThan(3_600_000);
  });

  it('rejects with the last error if the next attempt would begin after the timeout', async () => {
    const clock = new SleeplessClock();
    const work = failing(Number.POSITIVE_INFINITY, unavailable);
    await expect(retry(work.run, { clock, timeoutMs: 250 })).rejects.toBe(unavailable);
    expect(work.runs()).toBe(2); // at 0 and 100 ms: the next one would begin at 300 ms
  });

  it('counts the time that an attempt takes', async () => {
    const clock = new SleeplessClock();
    const work = failing(Number.POSITIVE_INFINITY, unavailable);
    const slowly = async () => {
      await clock.sleep(200);
      return work.run();
    };
    await expect(retry(slowly, { clock, timeoutMs: 250 })).rejects.toBe(unavailable);
    expect(work.runs()).toBe(1);
  });

  it('attempts once if the timeout is 0', async () => {
    const work = failing(1, unavailable);
    await expect(retry(work.run, { clock: new SleeplessClock(), timeoutMs: 0 })).rejects.toBe(unavailable);
    expect(work.runs()).toBe(1);
  });

  it.each([new Error('an internal fault'), new AppError('internal_error')])(
    'does not repeat after %s',
    async (error) => {
      const work = failing(1, error);
      await expect(retry(work.run, { clock: new SleeplessClock() })).rejects.toBe(error);
      expect(work.runs()).toBe(1);
    },
  );

  it('repeats after the errors that its caller names, and no others', async () => {
    const clock = new SleeplessClock();
    const isRetryable = (error: unknown) => error instanceof TypeError;
    expect(await retry(failing(2, new TypeError('again')).run, { clock, isRetryable })).toBe('done');
    await expect(retry(failing(1, unavailable).run, { clock, isRetryable })).rejects.toBe(unavailable);
  });
});

/** A clock whose pauses end at once, and on which no other time passes. */
class SleeplessClock extends TestClock {
  readonly pauses: number[] = [];
  private passedMs = 0;

  override monotonicMs(): number {
    return this.passedMs;
  }

  override async sleep(milliseconds: number): Promise<void> {
    this.pauses.push(milliseconds);
    this.passedMs += milliseconds;
  }
}

/** Work that fails this many times before it succeeds. */
function failing(times: number, error: Error): { run: () => Promise<string>; runs: () => number } {
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs <= times) throw error;
    return 'done';
  };
  return { run, runs: () => runs };
}
