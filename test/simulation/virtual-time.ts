import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/utils/clock.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** More iterations of the event loop than any statement takes. */
const MAX_ITERATIONS = 100_000;

interface ScheduledEvent {
  at: number;
  action: () => unknown;
}

interface ProcessClockOptions {
  /** Its own wall clock. */
  now: () => Date;
  /** The source of its jitter. */
  random: () => number;
  /** Runs what a timer started: at once, or as soon as the process continues. */
  whenRunning: (action: () => unknown) => void;
}

/**
 * Simulated time. It jumps from one scheduled event to the next, once everything that the last event caused is done or
 * waits for a later instant. Events of the same instant happen in the order in which they were scheduled.
 */
export class VirtualTime {
  /** Milliseconds since 1970. */
  now: number;
  /** Ordered from the last to the next. */
  private readonly events: ScheduledEvent[] = [];
  private running = 0;

  constructor(now: number) {
    this.now = now;
  }

  at(instant: number, action: () => unknown): void {
    const event = { at: Math.max(instant, this.now), action };
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.events[middle] as ScheduledEvent).at > event.at) low = middle + 1;
      else high = middle;
    }
    this.events.splice(low, 0, event);
  }

  after(milliseconds: number, action: () => unknown): void {
    this.at(this.now + milliseconds, action);
  }

  async sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve));
  }

  /** Stops the time while real work is done, such as a statement of the database. */
  async pauseDuring<T>(work: Promise<T>): Promise<T> {
    this.running += 1;
    try {
      return await work;
    } finally {
      this.running -= 1;
    }
  }

  /** Lets the time pass until an instant. */
  async run(until: number): Promise<void> {
    for (let next = this.events.at(-1); next && next.at <= until; next = this.events.at(-1)) {
      this.events.pop();
      this.now = next.at;
      next.action();
      await this.untilIdle();
    }
    this.now = until;
  }

  /** The clock of one process. */
  clock({ now, random, whenRunning }: ProcessClockOptions): Clock {
    const startTimer = (milliseconds: number, callback: () => void) => {
      let isCancelled = false;
      this.after(milliseconds, () => whenRunning(() => isCancelled || callback()));
      return {
        cancel: () => {
          isCancelled = true;
        },
      };
    };
    return {
      now,
      random,
      startTimer,
      wallMs: () => now().getTime(),
      monotonicMs: () => this.now,
      nextTurn: async () => undefined,
      sleep: async (milliseconds, signal) => {
        if (signal?.aborted) return;
        await new Promise<void>((resolve) => {
          const done = () => {
            signal?.removeEventListener('abort', done);
            resolve();
          };
          signal?.addEventListener('abort', done, { once: true });
          this.after(milliseconds, () => whenRunning(done));
        });
      },
    };
  }

  private async untilIdle(): Promise<void> {
    let iterations = 0;
    do {
      await nextTurn();
      iterations += 1;
      if (iterations > MAX_ITERATIONS) throw new Error('a statement does not end');
    } while (this.running > 0);
  }
}
