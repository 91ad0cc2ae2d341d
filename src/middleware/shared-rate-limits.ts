import { type ClientRateLimitInfo, MemoryStore, type Options, type Store } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import { createClient } from 'redis';
import type { RedisConfig } from '../config/redis-url.ts';
import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';

/** A request waits no longer than this for Redis. */
const TIMEOUT_MS = 100;
/** After a failure Redis is not used for this long, so that no request waits for it. */
const COOLDOWN_MS = 1_000;
const RECONNECT_MS = 1_000;
const MAX_QUEUE_LENGTH = 1_000;
const WARNING_INTERVAL_MS = 60_000;

interface Dependencies {
  redis: RedisConfig;
  clock: Clock;
  logger: Logger;
}

/** Rate limits shared by all replicas through Redis. While Redis is unavailable, each replica counts its own. */
export class SharedRateLimits {
  private readonly client;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ redis, clock, logger }: Dependencies) {
    this.clock = clock;
    this.logger = logger;
    this.client = createClient({
      ...(redis.user === undefined ? {} : { username: redis.user }),
      ...(redis.password === undefined ? {} : { password: redis.password }),
      database: redis.database,
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_QUEUE_LENGTH,
      socket: {
        host: redis.host,
        port: redis.port,
        ...(redis.isEncrypted ? { tls: true } : {}),
        reconnectStrategy: RECONNECT_MS,
        connectTimeout: RECONNECT_MS,
      },
    });
    this.client.on('error', (error: Error) => this.warn(error));
    this.client.connect().catch((error: Error) => this.warn(error));
  }

  /** Creates the counts of one limit. */
  createStore(name: string): Store {
    const shared = new RedisStore({
      sendCommand: (...command: string[]) => this.client.sendCommand(command),
      prefix: `rate-limit:${name}:`,
    });
    const { client, clock } = this;
    return new FallbackStore({ shared, client, clock, onError: (error) => this.warn(error) });
  }

  close(): void {
    this.client.destroy();
  }

  private warn(error: Error): void {
    const now = this.clock.monotonicMs();
    if (now - this.warnedAt < WARNING_INTERVAL_MS) return;
    this.warnedAt = now;
    const { code, name } = error as NodeJS.ErrnoException;
    this.logger.warn({ event: 'redis.unavailable', reason: code ?? name }, 'redis.unavailable');
  }
}

interface FallbackDependencies {
  shared: RedisStore;
  client: { isReady: boolean; on(event: 'ready', listener: () => void): unknown };
  clock: Clock;
  onError: (error: Error) => void;
}

/** Counts in Redis, or in this process while Redis is unavailable. */
class FallbackStore implements Store {
  private readonly own = new MemoryStore();
  private readonly shared: RedisStore;
  private readonly client: FallbackDependencies['client'];
  private readonly clock: Clock;
  private readonly onError: (error: Error) => void;
  private loadScripts: (() => Promise<void>) | undefined;
  private cooldownEndsAt = 0;

  constructor({ shared, client, clock, onError }: FallbackDependencies) {
    this.shared = shared;
    this.client = client;
    this.clock = clock;
    this.onError = onError;
  }

  init(options: Options): void {
    this.own.init(options);
    this.loadScripts = () => this.shared.init(options);
    this.client.on('ready', () => this.repair()); // a Redis that was restarted may have lost the scripts
    if (this.client.isReady) this.repair();
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    if (this.client.isReady && this.clock.monotonicMs() >= this.cooldownEndsAt) {
      try {
        const options = { clock: this.clock, timeoutMs: TIMEOUT_MS, onTimeout: () => new Error('Redis timed out') };
        return await withTimeout(this.shared.increment(key), options);
      } catch (error) {
        this.onError(error as Error);
        this.cooldownEndsAt = this.clock.monotonicMs() + COOLDOWN_MS;
        this.repair();
      }
    }
    return this.own.increment(key);
  }

  async decrement(key: string): Promise<void> {
    await this.own.decrement(key);
  }

  async resetKey(key: string): Promise<void> {
    await this.own.resetKey(key);
  }

  private repair(): void {
    this.loadScripts?.().catch(this.onError);
  }
}
