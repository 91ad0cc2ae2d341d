import { AppError } from '../errors.ts';

const RETRY_SECONDS = 1;

/** What the bodies of all requests together may occupy: callers cannot exhaust the process's memory by sending many at once. */
export class MemoryBudget {
  private readonly maxBytes: number;
  private reserved = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Reserves memory until it is released. @throws AppError `service_unavailable` if there is not enough left */
  reserve(bytes: number): void {
    if (this.reserved + bytes > this.maxBytes) {
      throw new AppError('service_unavailable', {
        detail: 'Too many large requests are in progress. Please try again later.',
        retryAfterSeconds: RETRY_SECONDS,
        reason: 'body_memory_exhausted',
      });
    }
    this.reserved += bytes;
  }

  /** Returns what was reserved: exactly once for each reservation. */
  release(bytes: number): void {
    this.reserved -= bytes;
  }
}
