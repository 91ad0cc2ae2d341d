import { clearTimeout, setImmediate, setTimeout } from 'node:timers'; // where the simulation puts its own time

/** What `promise` answers, if it does so in time; else what `late` makes is thrown, and the promise is left to itself. */
export async function within<T>(milliseconds: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    // One turn more: after a stall of our own, an answer in time may still lie in its socket.
    timer = setTimeout(() => setImmediate(() => reject(late())), milliseconds);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
