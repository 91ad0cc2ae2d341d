import { describe, expect, it } from '@jest/globals';
import { DatabaseClock } from '../../src/db/database-clock.ts';
import { earliestNow, systemClock } from '../../src/utils/clock.ts';

const NOW = Date.parse('2026-02-10T14:00:00.000Z');
const HOUR = 3_600_000;

describe('DatabaseClock', () => {
  it('shows the process’s time until the database’s is known', () => {
    const { clock } = startClock({ aheadMs: HOUR });
    expect(clock.now().getTime()).toBe(NOW + HOUR);
  });

  it.each([
    ['ahead', 30 * 24 * HOUR],
    ['behind', -HOUR],
  ])('shows the database’s time if the process’s clock is far %s', (_, aheadMs) => {
    const { clock, pass } = startClock({ aheadMs });
    clock.synchronize(NOW);
    pass({ milliseconds: 5_000 });
    expect(clock.now().getTime()).toBe(NOW + 5_000);
  });

  it('shows the process’s time if both differ by no more than a minute', () => {
    const { clock } = startClock({ aheadMs: 60_000 });
    clock.synchronize(NOW);
    expect(clock.now().getTime()).toBe(NOW + 60_000);
  });

  it('shows the database’s time at once if the process’s clock is set while it runs', () => {
    const { clock, pass } = startClock({ aheadMs: 0 });
    clock.synchronize(NOW);
    pass({ milliseconds: 5_000, wallMs: 24 * HOUR });
    expect(clock.now().getTime()).toBe(NOW + 5_000);
  });

  it('shows the process’s time again once its clock is right', () => {
    const { clock, pass } = startClock({ aheadMs: HOUR });
    clock.synchronize(NOW);
    pass({ milliseconds: 10, wallMs: 500 - HOUR });
    expect(clock.now().getTime()).toBe(NOW + 500);
  });

  it('reports each time that the clocks begin to differ', () => {
    const { clock, pass, differences } = startClock({ aheadMs: HOUR });
    clock.synchronize(NOW);
    clock.synchronize(NOW);
    expect(differences).toEqual([HOUR]);
    clock.synchronize(NOW + HOUR);
    pass({ milliseconds: 0, wallMs: -2 * HOUR });
    clock.synchronize(NOW + HOUR);
    expect(differences).toEqual([HOUR, -2 * HOUR]);
  });

  it('measures durations by the process’s own clocks', () => {
    const { clock } = startClock({ aheadMs: HOUR });
    clock.synchronize(NOW);
    expect([clock.wallMs(), clock.monotonicMs()]).toEqual([NOW + HOUR, 1_000]);
  });

  it.each([
    ['the process’s', HOUR, NOW],
    ['the database’s', -HOUR, NOW - HOUR],
  ])('takes the earlier time for what cannot be undone if %s clock is ahead', (_, aheadMs, earliest) => {
    const { clock } = startClock({ aheadMs });
    clock.synchronize(NOW);
    expect(earliestNow(clock).getTime()).toBe(earliest);
  });
});

/** The clock of a process whose own clock is this far ahead of the database's, which shows `NOW`. */
function startClock({ aheadMs }: { aheadMs: number }) {
  let [wall, monotonic] = [NOW + aheadMs, 1_000];
  const own = { ...systemClock, now: () => new Date(wall), wallMs: () => wall, monotonicMs: () => monotonic };
  const differences: number[] = [];
  const clock = new DatabaseClock(own, (differenceMs) => differences.push(differenceMs));
  /** @param wallMs how far the process's wall clock moves; by default, as far as time does */
  const pass = ({ milliseconds, wallMs = milliseconds }: { milliseconds: number; wallMs?: number }) => {
    monotonic += milliseconds;
    wall += wallMs;
  };
  return { clock, pass, differences };
}
