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

/** The connection to Redis, which the service can do without: whoever uses it has a substitute in this process. */
export class RedisConnection {
  private readonly client;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private cooldownEndsAt = 0;
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
    this.client.on('error', this.warn);
    this.client.connect().catch(this.warn);
  }

  get isReady(): boolean {
    return this.client.isReady;
  }

  /** Calls `listener` each time the connection is made. */
  onReady(listener: () => void): void {
    this.client.on('ready', listener);
  }

  /** Sends one command. Rejects if Redis does not accept it; has no time limit of its own. */
  async send<Reply>(...command: string[]): Promise<Reply> {
    return this.client.sendCommand(command) as Promise<Reply>;
  }

  /**
   * Runs commands for a request. Returns undefined if Redis is unavailable, or was within the last second.
   * @param onFailure called if the commands failed
   */
  async attempt<Result>(work: () => Promise<Result>, onFailure?: () => void): Promise<Result | undefined> {
    if (!this.isReady || this.clock.monotonicMs() < this.cooldownEndsAt) return undefined;
    try {
      const onTimeout = () => new Error('Redis timed out');
      return await withTimeout(work(), { clock: this.clock, timeoutMs: TIMEOUT_MS, onTimeout });
    } catch (error) {
      this.warn(error as Error);
      this.cooldownEndsAt = this.clock.monotonicMs() + COOLDOWN_MS;
      onFailure?.();
      return undefined;
    }
  }

  /** Logs that Redis cannot be used, once a minute. */
  readonly warn = (error: Error): void => {
    const now = this.clock.monotonicMs();
    if (now - this.warnedAt < WARNING_INTERVAL_MS) return;
    this.warnedAt = now;
    const { code, name } = error as NodeJS.ErrnoException;
    this.logger.warn({ event: 'redis.unavailable', reason: code ?? name }, 'redis.unavailable');
  };

  close(): void {
    this.client.destroy();
  }
}
