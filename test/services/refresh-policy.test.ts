import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Connection } from '../../src/models/connection.ts';
import { isFresh, isUsable, isValid, nextAttempt, pollPause } from '../../src/services/refresh-policy.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const many = { numRuns: 500 };

describe('an access token', () => {
  it.each([
    ['an hour', 3_600_000, [true, true, true]],
    ['a millisecond more than 5 minutes', 300_001, [true, true, true]],
    ['5 minutes', 300_000, [false, true, true]],
    ['a millisecond more than 30 seconds', 30_001, [false, true, true]],
    ['30 seconds', 30_000, [false, false, true]],
    ['a millisecond', 1, [false, false, true]],
    ['nothing', 0, [false, false, false]],
    ['less than nothing', -1, [false, false, false]],
  ])('with %s left is fresh, usable, valid: %#', (_, left, expected) => {
    const accessTokenExpiresAt = new Date(NOW.getTime() + left);
    const connection = { accessTokenExpiresAt } as Connection;
    expect([isFresh, isUsable, isValid].map((is) => is(connection, NOW))).toEqual(expected);
  });
});

describe('the back-off', () => {
  it.each([
    [1, 1_000, 2_000],
    [2, 2_000, 4_000],
    [3, 3_000, 6_000],
    [4, 3_000, 6_000],
    [5_000, 3_000, 6_000],
  ])('after %i failures is %i to %i ms, spread by chance', (failures, least, most) => {
    const waits = Array.from({ length: 200 }, () => wait(failures));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...waits)).toBeLessThanOrEqual(most);
    expect(new Set(waits).size).toBeGreaterThan(20);
  });

  it('lets no more than five calls through in ten seconds, whatever chance does', () => {
    for (let run = 0; run < 200; run += 1) {
      const calls = [0];
      while (calls.length < 10) calls.push((calls.at(-1) ?? 0) + wait(calls.length));
      expect(calls.filter((at) => at < 10_000).length).toBeLessThanOrEqual(5);
    }
  });

  it('keeps the provider’s own wish, be it longer than the back-off, up to an hour', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 6, max: 3_600 }), (failures, seconds) => {
        expect(wait(failures, seconds)).toBe(seconds * 1_000);
      }),
      many,
    );
    expect(wait(1, 3_601)).toBe(3_600_000);
    expect(wait(1, 1e300)).toBe(3_600_000);
  });

  it('is no shorter for a wish that is shorter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1 }), (seconds) => expect(wait(1, seconds)).toBeGreaterThanOrEqual(1_000)),
      many,
    );
  });
});

describe('the pause between two looks at another process’s refresh', () => {
  it('grows with each round from about 50 to about 500 ms, spread by chance', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (round) => {
        const usual = Math.min(50 * round, 500);
        expect(pollPause(round)).toBeGreaterThanOrEqual(usual * 0.5);
        expect(pollPause(round)).toBeLessThanOrEqual(usual * 1.5);
      }),
      many,
    );
  });
});

function wait(failures: number, retryAfterSeconds?: number): number {
  return nextAttempt(failures, retryAfterSeconds, NOW).getTime() - NOW.getTime();
}
