import type { RedisConfig } from '../config/redis-url.ts';
import type { Logger } from '../observability/logger.ts';
import type { Clock, Timer } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import { createRedisClient, type RedisClient } from './redis-client.ts';

/** A request waits no longer than this for Redis. */
const TIMEOUT_MS = 100;
/** After a failure Redis is not used for this long, so that no request waits for it. */
const COOLDOWN_MS = 1_000;
/** The connection is made at most once in this time. */
const RECONNECT_MS = 1_000;
const WARNING_INTERVAL_MS = 60_000;
/** What a server replies that is not, or no longer, the primary: another one has taken its place. */
const NOT_PRIMARY = /\b(READONLY|MASTERDOWN|LOADING|CLUSTERDOWN)\b/;

interface Dependencies {
  redis: RedisConfig;
  clock: Clock;
  logger: Logger;
}

/** The connection to Redis, which the service can do without: each of its users has a substitute in this process. */
export class RedisConnection {
  private readonly redis: RedisConfig;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly readyListeners: (() => void)[] = [];
  /** Undefined after a failure, until it is replaced. */
  private client: RedisClient | undefined;
  private isConnected = false;
  private connectingAt = Number.NEGATIVE_INFINITY;
  private reconnectTimer: Timer | undefined;
  private cooldownEndsAt = 0;
  private warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ redis, clock, logger }: Dependencies) {
    this.redis = redis;
    this.clock = clock;
    this.logger = logger;
    this.connect();
  }

  get isReady(): boolean {
    return this.isConnected;
  }

  /** Calls `listener` each time the connection is made. */
  onReady(listener: () => void): void {
    this.readyListeners.push(listener);
  }

  /**
   * Sends one command: `EVAL`, `EVALSHA`, `SCRIPT`, or one whose first argument is its key. Rejects if Redis does not accept
   * it; has no time limit of its own.
   */
  async send<Reply>(...command: string[]): Promise<Reply> {
    if (!this.client) throw new DisconnectedError();
    return this.client.send(command) as Promise<Reply>;
  }

  /**
   * Runs commands for a request. Returns undefined if Redis is unavailable, or was within the last second.
   * @param onFailure called if the commands failed
   */
  async attempt<Result>(work: () => Promise<Result>, onFailure?: () => void): Promise<Result | undefined> {
    const { client } = this;
    if (!client || !this.isConnected || this.clock.monotonicMs() < this.cooldownEndsAt) return undefined;
    try {
      const onTimeout = () => new TimeoutError();
      return await withTimeout(work(), { clock: this.clock, timeoutMs: TIMEOUT_MS, onTimeout });
    } catch (error) {
      this.warn(error as Error);
      this.cooldownEndsAt = this.clock.monotonicMs() + COOLDOWN_MS;
      if (error instanceof TimeoutError || NOT_PRIMARY.test((error as Error).message)) this.replace(client);
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
    this.reconnectTimer?.cancel();
    this.disconnect();
  }

  private connect(): void {
    this.connectingAt = this.clock.monotonicMs();
    const onFailure = (error: Error) => {
      if (client !== this.client) return;
      this.warn(error);
      this.replace(client);
    };
    const client = createRedisClient({ redis: this.redis, onFailure });
    this.client = client;
    client.connect().then(() => this.onConnected(client), onFailure);
  }

  private onConnected(client: RedisClient): void {
    if (client !== this.client) return;
    this.isConnected = true;
    for (const listener of this.readyListeners) listener();
  }

  /** After a failover, a connection to the previous primary can stay open, and would be used forever. */
  private replace(client: RedisClient): void {
    if (client !== this.client) return;
    this.disconnect();
    const waitMs = Math.max(0, this.connectingAt + RECONNECT_MS - this.clock.monotonicMs());
    this.reconnectTimer = this.clock.startTimer(waitMs, () => this.connect());
  }

  private disconnect(): void {
    const { client } = this;
    this.client = undefined;
    this.isConnected = false;
    client?.destroy();
  }
}

class TimeoutError extends Error {
  readonly code = 'timeout';
}

class DisconnectedError extends Error {
  readonly code = 'disconnected';
}

/** A code, the word that begins a reply of Redis, or the error's class: never its text, which can contain a key. */
function reasonOf(error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? NOT_PRIMARY.exec(message)?.[0] ?? /^[A-Z]{4,}\b/.exec(message)?.[0] ?? error.constructor.name;
}
