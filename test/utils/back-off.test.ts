import { describe, expect, it } from '@jest/globals';
import { backOffMs, jitter } from '../../src/utils/back-off.ts';
import { systemClock } from '../../src/utils/clock.ts';

describe('backOffMs', () => {
  it.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [4, 8_000],
    [5, 10_000],
    [2_000, 10_000],
  ])('is between half and all of its maximum before attempt %i: %i ms', (attempt, max) => {
    const backOff = { attempt, minMs: 1_000, maxMs: 10_000 };
    expect(backOffMs({ ...backOff, clock: drawing(0) })).toBe(max / 2);
    expect(backOffMs({ ...backOff, clock: drawing(0.5) })).toBe(max * 0.75);
    expect(backOffMs({ ...backOff, clock: drawing(1) })).toBe(max);
  });
});

describe('jitter', () => {
  it.each([
    [0, 500],
    [0.5, 1_000],
    [1, 1_500],
  ])('with a random number of %d turns 1000 ms into %i ms', (number, milliseconds) => {
    expect(jitter(1_000, drawing(number))).toBe(milliseconds);
  });

  it('leaves no pause as it is', () => {
    expect(jitter(0, drawing(0.9))).toBe(0);
  });
});

/** A clock with one random number. */
function drawing(number: number) {
  return { ...systemClock, random: () => number };
}
