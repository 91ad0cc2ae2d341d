import { type ClientRateLimitInfo, MemoryStore, type Options, type Store } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import { createClient } from 'redis';
import type { Logger } from '../observability/logger.ts';
import { within } from '../utils/with-timeout.ts';

/** A request waits no longer than this for Redis. */
const PATIENCE_MS = 100;
/** After a failure Redis is left alone for so long: nobody waits for it meanwhile. */
const REST_MS = 1_000;
const RECONNECT_MS = 1_000;
const LONGEST_QUEUE = 1_000;
const WARN_EVERY_MS = 60_000;

/** Rate limits shared by all replicas through Redis; while Redis is away, each replica counts its own. */
export class SharedCounts {
  private readonly client;
  private warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    redisUrl: string,
    private readonly logger: Logger,
  ) {
    this.client = createClient({
      url: redisUrl,
      disableOfflineQueue: true,
      commandsQueueMaxLength: LONGEST_QUEUE,
      socket: { reconnectStrategy: RECONNECT_MS, connectTimeout: RECONNECT_MS },
    });
    this.client.on('error', (error: Error) => this.warn(error));
    this.client.connect().catch((error: Error) => this.warn(error));
  }

  /** The counts of one limit. */
  createStore(name: string): Store {
    const shared = new RedisStore({
      sendCommand: (...command: string[]) => this.client.sendCommand(command),
      prefix: `rate-limit:${name}:`,
    });
    return new FallbackStore(shared, this.client, (error) => this.warn(error));
  }

  close(): void {
    this.client.destroy();
  }

  private warn(error: Error): void {
    if (performance.now() - this.warnedAt < WARN_EVERY_MS) return;
    this.warnedAt = performance.now();
    const { code, name } = error as NodeJS.ErrnoException;
    this.logger.warn({ reason: code ?? name }, 'Redis is away: each replica counts its own rate limits');
  }
}

class FallbackStore implements Store {
  private readonly own = new MemoryStore();
  private prepare: (() => Promise<void>) | undefined;
  private restUntil = 0;

  constructor(
    private readonly shared: RedisStore,
    private readonly client: { isReady: boolean; on(event: 'ready', listener: () => void): unknown },
    private readonly warn: (error: Error) => void,
  ) {}

  init(options: Options): void {
    this.own.init(options);
    this.prepare = () => this.shared.init(options);
    this.client.on('ready', () => this.repair()); // the Redis that comes back may have none of the scripts
    if (this.client.isReady) this.repair();
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    if (this.client.isReady && performance.now() >= this.restUntil) {
      try {
        return await within(PATIENCE_MS, this.shared.increment(key), () => new Error('Redis is slow'));
      } catch (error) {
        this.warn(error as Error);
        this.restUntil = performance.now() + REST_MS;
        this.repair();
      }
    }
    return this.own.increment(key);
  }

  /** Loads the scripts anew. */
  private repair(): void {
    this.prepare?.().catch(this.warn);
  }

  async decrement(key: string): Promise<void> {
    await this.own.decrement(key);
  }

  async resetKey(key: string): Promise<void> {
    await this.own.resetKey(key);
  }
}
