import type { Clock } from './clock.ts';
import { waitForInput } from './wait-for-input.ts';

interface TimeoutOptions {
  clock: Clock;
  timeoutMs: number;
  /** Makes the error to reject with. */
  onTimeout: () => Error;
}

/** Resolves with `promise`, or rejects after `timeoutMs`. Does not cancel the promise. */
export async function withTimeout<T>(promise: Promise<T>, { clock, timeoutMs, onTimeout }: TimeoutOptions): Promise<T> {
  let cancel = (): void => undefined;
  let isSettled = false;
  const timeout = new Promise<never>((_, reject) => {
    const timer = clock.startTimer(timeoutMs, () => {
      void waitForInput(clock, () => isSettled).then(() => reject(onTimeout()));
    });
    cancel = timer.cancel;
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    isSettled = true;
    cancel();
  }
}
