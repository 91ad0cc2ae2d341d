import type { Clock } from '../utils/clock.ts';

/** Remembers, in this process, what is not to be refreshed for a while: one connection, or a provider's every connection. */
export class RefreshCooldown {
  private readonly endsAt = new Map<string, number>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @param key a token ID or an accounting system */
  start(key: string, milliseconds: number): void {
    this.endsAt.set(key, this.clock.monotonicMs() + milliseconds);
  }

  isActive(key: string): boolean {
    const isActive = (this.endsAt.get(key) ?? 0) > this.clock.monotonicMs();
    if (!isActive) this.endsAt.delete(key);
    return isActive;
  }
}
