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
/** A connection whose server disappeared without a word is closed after this time. */
const IDLE_TIMEOUT_MS = 10_000;
/** What a server replies that is not, or no longer, the primary: another one has taken its place at this address. */
const NOT_PRIMARY = /\b(READONLY|MASTERDOWN|LOADING|CLUSTERDOWN)\b/;

interface Dependencies {
  redis: RedisConfig;
  clock: Clock;
  logger: Logger;
}

/** The connection to Redis, which the service can do without: each of its users has a substitute in this process. */
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
      pingInterval: IDLE_TIMEOUT_MS / 2,
      socket: {
        host: redis.host,
        port: redis.port,
        ...(redis.isEncrypted ? { tls: true } : {}),
        reconnectStrategy: RECONNECT_MS,
        connectTimeout: RECONNECT_MS,
        socketTimeout: IDLE_TIMEOUT_MS,
      },
    });
    this.client.on('error', this.warn);
    this.connect();
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
      const onTimeout = () => new TimeoutError();
      return await withTimeout(work(), { clock: this.clock, timeoutMs: TIMEOUT_MS, onTimeout });
    } catch (error) {
      this.warn(error as Error);
      this.cooldownEndsAt = this.clock.monotonicMs() + COOLDOWN_MS;
      if (error instanceof TimeoutError || NOT_PRIMARY.test((error as Error).message)) this.reconnect();
      else onFailure?.();
      return undefined;
    }
  }

  /** Logs that Redis cannot be used, once a minute. */
  readonly warn = (error: Error): void => {
    const now = this.clock.monotonicMs();
    if (now - this.warnedAt < WARNING_INTERVAL_MS) return;
    this.warnedAt = now;
    this.logger.warn({ event: 'redis.unavailable', reason: reasonOf(error) }, 'redis.unavailable');
  };

  close(): void {
    this.client.destroy();
  }

  /** After a failover the connection to the previous primary can stay open, and would be used forever. */
  private reconnect(): void {
    if (!this.client.isOpen) return;
    this.client.destroy();
    this.connect();
  }

  private connect(): void {
    this.client.connect().catch(this.warn);
  }
}

class TimeoutError extends Error {
  readonly code = 'timeout';
}

/** The code of the system or the client, or the word that begins a reply of Redis: never its text, which can contain a key. */
function reasonOf(error: Error): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  return code ?? NOT_PRIMARY.exec(message)?.[0] ?? /^[A-Z]{4,}\b/.exec(message)?.[0] ?? name;
}
