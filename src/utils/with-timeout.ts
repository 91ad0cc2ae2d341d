import type { Clock } from './clock.ts';

interface TimeoutOptions {
  clock: Clock;
  timeoutMs: number;
  /** Makes the error to reject with. */
  onTimeout: () => Error;
}

/** Resolves with `promise`, or rejects after `timeoutMs`. Does not cancel the promise. */
export async function withTimeout<T>(promise: Promise<T>, { clock, timeoutMs, onTimeout }: TimeoutOptions): Promise<T> {
  let cancel = (): void => undefined;
  const timeout = new Promise<never>((_, reject) => {
    // After a pause of the whole process, a response that arrived in time may still wait in its socket.
    const timer = clock.startTimer(timeoutMs, () => {
      void clock.nextTurn().then(() => reject(onTimeout()));
    });
    cancel = timer.cancel;
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    cancel();
  }
}
