import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../../src/utils/clock.ts';

interface PendingTimer {
  dueAt: number;
  fire: () => void;
  handle: NodeJS.Timeout;
}

/** Real time that a test can move forward: what was due by then happens at once. */
export class TestClock implements Clock {
  private skippedMs = 0;
  /** What `performance.now()` was when the clock was stopped. */
  private stoppedAt: number | undefined;
  /** The wall clock while it stands still, in milliseconds since 1970. */
  private frozenAt: number | undefined;
  private readonly timers = new Set<PendingTimer>();

  now(): Date {
    return new Date(this.frozenAt ?? Date.now() + this.skippedMs);
  }

  wallMs(): number {
    return this.now().getTime();
  }

  monotonicMs(): number {
    return (this.stoppedAt ?? performance.now()) + this.skippedMs;
  }

  /** Stops the time of durations and timers too: it passes only by `advance`, however slow the machine is. */
  stop(): void {
    this.stoppedAt ??= Math.floor(performance.now()); // whole milliseconds, so that sums are exact
  }

  /** Stops the wall clock, so that a test can compare instants exactly. Durations go on. */
  freeze(): void {
    this.frozenAt = Date.now();
  }

  /** Sets the wall clock, as an operator would. */
  setWallClock(instant: Date): void {
    this.frozenAt = instant.getTime();
  }

  /** Moves both clocks forward. */
  advance(milliseconds: number): void {
    if (this.frozenAt !== undefined) this.frozenAt += milliseconds;
    this.skippedMs += milliseconds;
    for (const timer of [...this.timers]) {
      clearTimeout(timer.handle);
      timer.handle = this.schedule(timer);
    }
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = this.startTimer(milliseconds, done);
      function done() {
        signal?.removeEventListener('abort', done);
        timer.cancel();
        resolve();
      }
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  startTimer(milliseconds: number, callback: () => void): Timer {
    const timer = {
      dueAt: this.monotonicMs() + milliseconds,
      fire: () => {
        this.timers.delete(timer);
        callback();
      },
    } as PendingTimer;
    timer.handle = this.schedule(timer);
    this.timers.add(timer);
    return {
      cancel: () => {
        clearTimeout(timer.handle);
        this.timers.delete(timer);
      },
    };
  }

  async nextTurn(): Promise<void> {
    await nextTurn();
  }

  random(): number {
    return Math.random();
  }

  private schedule({ dueAt, fire }: PendingTimer): NodeJS.Timeout {
    const left = dueAt - this.monotonicMs();
    if (left > 0 && this.stoppedAt !== undefined) return setTimeout(() => undefined, 0);
    return setTimeout(fire, Math.max(0, left));
  }
}
