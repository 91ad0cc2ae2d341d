import type { Clock, Timer } from '../utils/clock.ts';

/** A smaller difference between clocks harms nothing. */
const TOLERANCE_MS = 60_000;

/** An instant of the database's clock. */
interface Reading {
  databaseMs: number;
  /** When it was read, by the process's monotonic clock. */
  monotonicMs: number;
}

/**
 * A process's clock whose wall time is corrected by the database's if both differ: all replicas then store and compare
 * instants of one clock, although the clock of one of them is wrong. Before the first connection it is the process's own.
 */
export class DatabaseClock implements Clock {
  private readonly own: Clock;
  private readonly onDifference: (differenceMs: number) => void;
  private reading: Reading | undefined;
  private isDifferent = false;

  /** @param onDifference is called when the process's clock begins to differ: by how many milliseconds it is ahead */
  constructor(own: Clock, onDifference: (differenceMs: number) => void = () => undefined) {
    this.own = own;
    this.onDifference = onDifference;
  }

  /** Accepts what the database's clock shows now. Each new connection reads it. */
  synchronize(databaseMs: number): void {
    this.reading = { databaseMs, monotonicMs: this.own.monotonicMs() };
    const differenceMs = this.own.wallMs() - databaseMs;
    const isDifferent = isTooLarge(differenceMs);
    if (isDifferent && !this.isDifferent) this.onDifference(differenceMs);
    this.isDifferent = isDifferent;
  }

  now(): Date {
    if (!this.reading) return this.own.now();
    const databaseMs = this.reading.databaseMs + this.own.monotonicMs() - this.reading.monotonicMs;
    return isTooLarge(this.own.wallMs() - databaseMs) ? new Date(databaseMs) : this.own.now();
  }

  wallMs(): number {
    return this.own.wallMs();
  }

  monotonicMs(): number {
    return this.own.monotonicMs();
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.own.sleep(milliseconds, signal);
  }

  startTimer(milliseconds: number, callback: () => void): Timer {
    return this.own.startTimer(milliseconds, callback);
  }

  nextTurn(): Promise<void> {
    return this.own.nextTurn();
  }

  random(): number {
    return this.own.random();
  }
}

function isTooLarge(differenceMs: number): boolean {
  return Math.abs(differenceMs) > TOLERANCE_MS;
}
