import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.ts';

const FIRST_PAUSE_MS = 100;
/** Short: whoever waits for the same row takes it over soon after the database is back. */
const LONGEST_PAUSE_MS = 500;

/**
 * Repeats `work` while the database is away, for as long as `patienceMs` allows: what it saves exists nowhere else.
 * @param isPassing tells the errors that are worth another try
 */
export async function persistently<T>(
  work: () => Promise<T>,
  patienceMs = Number.POSITIVE_INFINITY,
  isPassing: (error: unknown) => boolean = isDatabaseAway,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || performance.now() + pause > deadline) throw error;
      await delay(pause);
    }
  }
}

function isDatabaseAway(error: unknown): boolean {
  return error instanceof AppError && error.code === 'service_unavailable';
}
