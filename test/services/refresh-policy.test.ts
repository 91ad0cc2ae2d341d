import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ActiveConnection } from '../../src/models/connection.ts';
import {
  isFresh,
  isRefreshTokenExpired,
  isUsable,
  isValid,
  pollMs,
  refreshBackOffMs,
} from '../../src/services/refresh-policy.ts';
import { systemClock } from '../../src/utils/clock.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const MANY = { numRuns: 500 };

describe('an access token', () => {
  it.each([
    ['is fresh with an hour left', 3_600_000, [true, true, true]],
    ['is fresh with a millisecond more than 5 minutes left', 300_001, [true, true, true]],
    ['is usable but not fresh with 5 minutes left', 300_000, [false, true, true]],
    ['is usable but not fresh with a millisecond more than 30 seconds left', 30_001, [false, true, true]],
    ['is valid but not usable with 30 seconds left', 30_000, [false, false, true]],
    ['is valid but not usable with a millisecond left', 1, [false, false, true]],
    ['is not valid with no time left', 0, [false, false, false]],
    ['is not valid after its expiry', -1, [false, false, false]],
  ])('%s', (_, leftMs, expected) => {
    const connection = { tokens: { accessTokenExpiresAt: fromNow(leftMs) } } as ActiveConnection;
    expect([isFresh, isUsable, isValid].map((is) => is(connection, NOW))).toEqual(expected);
  });
});

describe('a refresh token', () => {
  it.each<[string, { leftMs: number; isAssumed?: boolean; owner?: string }, boolean]>([
    ['is not expired a millisecond before its end', { leftMs: 1 }, false],
    ['is expired at its end', { leftMs: 0 }, true],
    ['is expired after its end', { leftMs: -1 }, true],
    ['is not considered expired if its end was only assumed', { leftMs: -1, isAssumed: true }, false],
    ['is not considered expired while another process refreshes it', { leftMs: -1, owner: 'another' }, false],
  ])('%s', (_, { leftMs, isAssumed = false, owner }, expected) => {
    const tokens = { refreshTokenExpiresAt: fromNow(leftMs), isRefreshExpiryAssumed: isAssumed };
    expect(isRefreshTokenExpired({ tokens, refresh: { owner } } as ActiveConnection, NOW)).toBe(expected);
  });
});

describe('the back-off of a connection', () => {
  it.each([
    [1, 1_000, 2_000],
    [2, 2_000, 4_000],
    [3, 3_000, 6_000],
    [4, 3_000, 6_000],
    [5_000, 3_000, 6_000],
  ])('after %i failures is between %i and %i ms, at random', (failures, minMs, maxMs) => {
    const waits = Array.from({ length: 200 }, () => backOff(failures));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(minMs);
    expect(Math.max(...waits)).toBeLessThanOrEqual(maxMs);
    expect(new Set(waits).size).toBeGreaterThan(20);
  });

  it('allows at most five calls in ten seconds, whatever the random numbers are', () => {
    for (let run = 0; run < 200; run += 1) {
      const calls = [0];
      while (calls.length < 10) calls.push((calls.at(-1) ?? 0) + backOff(calls.length));
      expect(calls.filter((at) => at < 10_000).length).toBeLessThanOrEqual(5);
    }
  });

  it('respects the provider’s Retry-After if it is longer, up to an hour', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 6, max: 3_600 }), (failures, seconds) => {
        expect(backOff(failures, seconds)).toBe(seconds * 1_000);
      }),
      MANY,
    );
    expect(backOff(1, 3_601)).toBe(3_600_000);
    expect(backOff(1, 1e300)).toBe(3_600_000);
  });

  it('is not shortened by a shorter Retry-After', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1 }), (seconds) => {
        expect(backOff(1, seconds)).toBeGreaterThanOrEqual(1_000);
      }),
      MANY,
    );
  });
});

describe('the pause between two looks at another process’s refresh', () => {
  it('grows with each round from about 50 to about 500 ms, at random', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (round) => {
        const averageMs = Math.min(50 * round, 500);
        expect(pollMs(round, systemClock)).toBeGreaterThanOrEqual(averageMs * 0.5);
        expect(pollMs(round, systemClock)).toBeLessThanOrEqual(averageMs * 1.5);
      }),
      MANY,
    );
  });
});

function backOff(failures: number, retryAfterSeconds?: number): number {
  return refreshBackOffMs(failures, retryAfterSeconds, systemClock);
}

function fromNow(milliseconds: number): Date {
  return new Date(NOW.getTime() + milliseconds);
}
