import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';

/** What `promise` answers, if it does so in time; else `late` is thrown, and the promise is left to itself. */
export async function within<T>(milliseconds: number, promise: Promise<T>, late: Error): Promise<T> {
  const timer = new AbortController();
  const tooLate = delay(milliseconds, undefined, { signal: timer.signal }).then(async () => {
    await turn(); // after a stall of our own, an answer in time may still lie in its socket
    throw late;
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    timer.abort();
  }
}
