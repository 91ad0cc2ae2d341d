import { type ClientRateLimitInfo, MemoryStore, type Options, type Store } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import type { RedisConnection } from '../redis/redis-connection.ts';

/** Creates the counts of one rate limit, shared by all replicas through Redis. */
export function createSharedStore(name: string, redis: RedisConnection): Store {
  const shared = new RedisStore({
    sendCommand: (...command: string[]) => redis.send(...command),
    prefix: `rate-limit:${name}:`,
  });
  return new FallbackStore(shared, redis);
}

/** Counts in Redis, or in this process while Redis is unavailable. */
class FallbackStore implements Store {
  private readonly own = new MemoryStore();
  private readonly shared: RedisStore;
  private readonly redis: RedisConnection;
  private loadScripts: (() => Promise<void>) | undefined;

  constructor(shared: RedisStore, redis: RedisConnection) {
    this.shared = shared;
    this.redis = redis;
  }

  init(options: Options): void {
    this.own.init(options);
    this.loadScripts = () => this.shared.init(options);
    this.redis.onReady(() => this.repair()); // a Redis that was restarted may have lost the scripts
    this.repair();
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    const counted = await this.redis.attempt(
      () => this.shared.increment(key),
      () => this.repair(),
    );
    return counted ?? this.own.increment(key);
  }

  async decrement(key: string): Promise<void> {
    await this.own.decrement(key);
  }

  async resetKey(key: string): Promise<void> {
    await this.own.resetKey(key);
  }

  private repair(): void {
    if (this.redis.isReady) this.loadScripts?.().catch(this.redis.warn);
  }
}
