import { describe, expect, it } from '@jest/globals';
import { type Clock, fromNow, systemClock } from '../../src/utils/clock.ts';
import { TestClock } from '../support/test-clock.ts';

const HOUR_MS = 3_600_000;

describe.each<[name: string, create: () => Clock]>([
  ['systemClock', () => systemClock],
  ['TestClock', () => new TestClock()],
])('%s', (_, create) => {
  const clock = create();

  it('returns the time of the process, and its durations never decrease', async () => {
    const before = Date.now();
    const now = clock.now().getTime();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
    const started = clock.monotonicMs();
    await clock.nextTurn();
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(started);
  });

  it('calls back once a timer is due, unless it was cancelled', async () => {
    const fired: string[] = [];
    clock.startTimer(0, () => fired.push('cancelled')).cancel();
    await new Promise<void>((resolve) => {
      clock.startTimer(1, () => {
        fired.push('due');
        resolve();
      });
    });
    expect(fired).toEqual(['due']);
  });

  it('wakes up after a pause, or as soon as it is aborted', async () => {
    const abort = new AbortController();
    const sleeping = clock.sleep(HOUR_MS, abort.signal);
    await clock.sleep(1);
    abort.abort();
    await sleeping;
    await clock.sleep(HOUR_MS, abort.signal);
  });

  it('draws numbers from 0 to less than 1', () => {
    const numbers = Array.from({ length: 100 }, () => clock.random());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(new Set(numbers).size).toBeGreaterThan(1);
  });
});

describe('TestClock', () => {
  it('fires at once what is due after it was advanced, and nothing else', async () => {
    const clock = new TestClock();
    const fired: string[] = [];
    const later = clock.startTimer(2 * HOUR_MS, () => fired.push('later'));
    const due = clock.sleep(HOUR_MS);
    clock.advance(HOUR_MS);
    await due;
    later.cancel();
    expect(fired).toEqual([]);
  });

  it('moves both clocks when it is advanced, and stands still once it is frozen', () => {
    const clock = new TestClock();
    clock.freeze();
    const [now, monotonic] = [clock.now(), clock.monotonicMs()];
    clock.advance(HOUR_MS);
    expect(clock.now().getTime() - now.getTime()).toBe(HOUR_MS);
    expect(clock.monotonicMs() - monotonic).toBeGreaterThanOrEqual(HOUR_MS);
  });
});

describe('fromNow', () => {
  it('returns the instant before or after now', () => {
    const clock = new TestClock();
    clock.setWallClock(new Date('2026-02-10T14:00:00.000Z'));
    expect(fromNow(clock, 1_500).toISOString()).toBe('2026-02-10T14:00:01.500Z');
    expect(fromNow(clock, -HOUR_MS).toISOString()).toBe('2026-02-10T13:00:00.000Z');
  });
});
