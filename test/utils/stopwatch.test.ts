import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../src/utils/clock.ts';
import { Stopwatch } from '../../src/utils/stopwatch.ts';

describe('Stopwatch', () => {
  it.each([
    ['both clocks agree', 5_000, 5_000, 5_000],
    ['the monotonic clock stood still while the machine was paused', 0, 5_000, 5_000],
    ['the wall clock was set back', 5_000, -3_600_000, 5_000],
    ['no time has passed', 0, 0, 0],
  ])('measures the time that has passed if %s', (_, monotonicMs, wallMs, elapsedMs) => {
    let passed = { monotonicMs: 0, wallMs: 0 };
    const clock = {
      ...systemClock,
      monotonicMs: () => 1_000 + passed.monotonicMs,
      wallMs: () => 1_770_000_000_000 + passed.wallMs,
    };
    const stopwatch = new Stopwatch(clock);
    passed = { monotonicMs, wallMs };
    expect(stopwatch.elapsedMs()).toBe(elapsedMs);
  });
});
