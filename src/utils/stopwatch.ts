import type { Clock } from './clock.ts';

/**
 * Measures a duration by both clocks and returns the longer: the monotonic clock may stand still while a virtual machine
 * is paused, and the wall clock may be set back.
 */
export class Stopwatch {
  private readonly clock: Clock;
  private readonly startedAt: { monotonicMs: number; wallMs: number };

  constructor(clock: Clock) {
    this.clock = clock;
    this.startedAt = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  elapsedMs(): number {
    const { monotonicMs, wallMs } = this.startedAt;
    return Math.max(this.clock.monotonicMs() - monotonicMs, this.clock.wallMs() - wallMs);
  }
}
