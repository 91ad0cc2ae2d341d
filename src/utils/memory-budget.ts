import { AppError } from '../errors.ts';

const RETRY_SECONDS = 1;

/** What bodies in memory may occupy, in bytes. */
interface MemoryLimits {
  /** The bodies of all requests together. */
  maxBytes: number;
  /** Those of one owner. */
  maxBytesPerOwner: number;
}

/**
 * What the bodies of all requests together may occupy: callers cannot exhaust the process's memory by sending many at once, and
 * none can keep all of the budget from the others.
 */
export class MemoryBudget {
  private readonly limits: MemoryLimits;
  private reserved = 0;
  private readonly reservedByOwner = new Map<string, number>();

  constructor(limits: MemoryLimits) {
    this.limits = limits;
  }

  /**
   * Reserves memory until it is released. @param owner whose share of the budget it is; absent for small bodies
   * @throws AppError `service_unavailable` if there is not enough left
   */
  reserve(bytes: number, owner?: string): void {
    const owned = (owner === undefined ? 0 : this.ownedBy(owner)) + bytes;
    const isExhausted = this.reserved + bytes > this.limits.maxBytes;
    if (isExhausted || (owner !== undefined && owned > this.limits.maxBytesPerOwner)) {
      throw new AppError('service_unavailable', {
        detail: 'Too many large requests are in progress. Please try again later.',
        retryAfterSeconds: RETRY_SECONDS,
        reason: isExhausted ? 'body_memory_exhausted' : 'body_memory_share_exhausted',
      });
    }
    this.reserved += bytes;
    if (owner !== undefined) this.reservedByOwner.set(owner, owned);
  }

  /** Returns what was reserved, in parts or at once, with the same owner. */
  release(bytes: number, owner?: string): void {
    this.reserved -= bytes;
    if (owner === undefined) return;
    const owned = this.ownedBy(owner) - bytes;
    if (owned > 0) this.reservedByOwner.set(owner, owned);
    else this.reservedByOwner.delete(owner);
  }

  private ownedBy(owner: string): number {
    return this.reservedByOwner.get(owner) ?? 0;
  }
}
