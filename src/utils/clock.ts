import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** A timer that can be cancelled. */
export interface Timer {
  cancel(): void;
}

/** Time and chance: the only source of both, so that tests and the simulation can supply their own. */
export interface Clock {
  /** The wall clock that all processes share. For timestamps that leave the process. */
  now(): Date;
  /** The process's own wall clock, in milliseconds since 1970. Operators may adjust it; it goes on while a machine is suspended. */
  wallMs(): number;
  /** Milliseconds from an arbitrary origin, never adjusted. For durations within the process. */
  monotonicMs(): number;
  /** Resolves after `milliseconds`, or at once when `signal` is aborted. Never rejects. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `milliseconds`. */
  startTimer(milliseconds: number, callback: () => void): Timer;
  /** Resolves after one iteration of the event loop. */
  nextTurn(): Promise<void>;
  /** At least 0 and less than 1. */
  random(): number;
}

/** The process's own clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (milliseconds, signal) => {
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  },
  startTimer: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
  nextTurn: async () => {
    await nextTurn();
  },
  random: () => Math.random(),
};

/** True if both wall clocks show the same time. */
export function isTimeCertain(clock: Clock): boolean {
  return Math.abs(clock.now().getTime() - clock.wallMs()) < 1_000;
}

/** The earlier of both wall clocks: for what cannot be undone, so that one clock that is ahead is not enough for it. */
export function earliestNow(clock: Clock): Date {
  return new Date(Math.min(clock.now().getTime(), clock.wallMs()));
}

/** The instant this many milliseconds from now. */
export function fromNow(clock: Clock, milliseconds: number): Date {
  return new Date(clock.now().getTime() + milliseconds);
}
