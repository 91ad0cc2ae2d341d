import type { Clock } from '../utils/clock.ts';
import { Stopwatch } from '../utils/stopwatch.ts';

/** How long a write is remembered, in case a failover of the database loses it. */
export const REMEMBER_MS = 10 * 60_000;
const MAX_REMEMBERED = 10_000;
/** How many rows are looked at once after a failover. */
const AT_ONCE = 8;

interface Entry<Write> {
  write: Write;
  age: Stopwatch;
}

/** What this process has written lately, the oldest first. Entries are forgotten only when another one is added. */
export class RememberedWrites<Write> {
  private readonly clock: Clock;
  private readonly entries = new Map<string, Entry<Write>>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  set(key: string, write: Write): void {
    this.entries.delete(key);
    this.entries.set(key, { write, age: new Stopwatch(this.clock) });
    for (const [oldest, { age }] of this.entries) {
      if (age.elapsedMs() < REMEMBER_MS && this.entries.size <= MAX_REMEMBERED) break;
      this.entries.delete(oldest);
    }
  }

  get(key: string): Write | undefined {
    return this.entries.get(key)?.write;
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  newest(): Write | undefined {
    return [...this.entries.values()].at(-1)?.write;
  }

  /** Calls `work` for each write, the newest first, a few at once. @param work receives since when it is remembered */
  async forEachWrite(work: (write: Write, age: Stopwatch) => Promise<void>): Promise<void> {
    const left = [...this.entries.values()]; // after a long outage, the next write forgets most of them
    const workOnNext = async () => {
      for (let next = left.pop(); next; next = left.pop()) await work(next.write, next.age);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, workOnNext));
  }
}
