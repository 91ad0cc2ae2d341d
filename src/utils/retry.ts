import { hasCode } from '../errors.ts';
import type { Clock } from './clock.ts';

const MIN_PAUSE_MS = 100;
/** Short, so that this process saves before another one takes over the row once the database is back. */
const MAX_PAUSE_MS = 500;

interface RetryOptions {
  clock: Clock;
  /** No attempt begins later than this after the first. Without it, there is no limit. */
  timeoutMs?: number;
  /** Whether an error is worth another attempt. By default: the database is unavailable. */
  isRetryable?: (error: unknown) => boolean;
}

/** Runs `work` until it succeeds. Rejects with its last error. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, timeoutMs = Number.POSITIVE_INFINITY, isRetryable = isServiceUnavailable } = options;
  const deadline = clock.monotonicMs() + timeoutMs;
  for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || clock.monotonicMs() + pauseMs > deadline) throw error;
      await clock.sleep(pauseMs);
    }
  }
}

function isServiceUnavailable(error: unknown): boolean {
  return hasCode(error, 'service_unavailable');
}
