import { syncBuiltinESMExports } from 'node:module';
import callbackTimers from 'node:timers';
import timers, { setImmediate as turn } from 'node:timers/promises';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** More turns of the event loop than any statement takes: what still runs then waits for something that never comes. */
const MOST_TURNS = 100_000;

interface Due {
  at: number;
  order: number;
  work: () => unknown;
}

/** What is planned, and may be cancelled. */
interface Plan {
  cancel(): void;
}

/**
 * Time that passes only when everything that was to happen before has happened: from one event straight to the next,
 * events of the same instant in the order in which they were planned.
 */
export class VirtualTime {
  private readonly heap: Due[] = [];
  private planned = 0;
  private running = 0;

  /** @param now milliseconds since 1970 */
  constructor(public now: number) {}

  at(instant: number, work: () => unknown): void {
    this.planned += 1;
    push(this.heap, { at: Math.max(instant, this.now), order: this.planned, work });
  }

  after(milliseconds: number, work: () => unknown): void {
    this.at(this.now + milliseconds, work);
  }

  async sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve));
  }

  /** Work that takes real time and no virtual time: a statement of the database. The clock stands still meanwhile. */
  async still<T>(work: Promise<T>): Promise<T> {
    this.running += 1;
    try {
      return await work;
    } finally {
      this.running -= 1;
    }
  }

  /** Lets the time pass. Events planned for later than `until` stay where they are. */
  async run(until: number): Promise<void> {
    for (let first = this.heap[0]; first && first.at <= until; first = this.heap[0]) {
      pop(this.heap);
      this.now = first.at;
      first.work();
      await this.settle();
    }
    this.now = until;
  }

  /**
   * Puts this time in the place of the process's own: `setTimeout` of node:timers/promises, both of node:timers where they
   * are imported by name, and `performance.now`. Answers the way back.
   */
  install(): () => void {
    const { setTimeout, clearTimeout } = callbackTimers;
    const real = { setTimeout: timers.setTimeout, now: performance.now };
    const began = this.now;
    Object.assign(timers, { setTimeout: this.setTimeout });
    Object.assign(callbackTimers, { setTimeout: this.plan, clearTimeout: (plan?: Plan) => plan?.cancel() });
    syncBuiltinESMExports();
    performance.now = () => this.now - began;
    return () => {
      Object.assign(timers, { setTimeout: real.setTimeout });
      Object.assign(callbackTimers, { setTimeout, clearTimeout });
      syncBuiltinESMExports();
      performance.now = real.now;
    };
  }

  private readonly plan = (work: () => void, milliseconds: number): Plan => {
    let isCancelled = false;
    this.after(milliseconds, () => isCancelled || work());
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  };

  private readonly setTimeout = async <T>(milliseconds = 0, value?: T, options: { signal?: AbortSignal } = {}) => {
    const { signal } = options;
    return new Promise<T | undefined>((resolve, reject) => {
      const abort = () => reject(new DOMException('The operation was aborted', 'AbortError'));
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.after(milliseconds, () => {
        signal?.removeEventListener('abort', abort);
        resolve(value);
      });
    });
  };

  /** Until all that the last event set off has come to rest: it waits for a later instant, or is done. */
  private async settle(): Promise<void> {
    let turns = 0;
    do {
      await turn();
      turns += 1;
      if (turns > MOST_TURNS) throw new Error('a statement does not end');
    } while (this.running > 0);
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A binary heap: each entry comes before the two below it. */
function push(heap: Due[], due: Due): void {
  let index = heap.push(due) - 1;
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above] as Due;
    if (!isBefore(due, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = due;
}

function pop(heap: Due[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (let child = 1; child < heap.length; child = 2 * index + 1) {
    const right = heap[child + 1];
    if (right && isBefore(right, heap[child] as Due)) child += 1;
    if (!isBefore(heap[child] as Due, last)) break;
    heap[index] = heap[child] as Due;
    index = child;
  }
  heap[index] = last;
}
