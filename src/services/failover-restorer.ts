import type { Logger } from '../observability/logger.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { MAX_SETTLE_MS, SETTLE_MS } from './refresh-policy.ts';
import type { RefreshSaver } from './refresh-saver.ts';

interface Dependencies {
  saver: RefreshSaver;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/**
 * Handles failovers of the database that lose commits, as asynchronous replication does: this process writes back the
 * responses that it has saved, and no token is refreshed until the other processes had the time to do the same. A row
 * that lacks the latest response has a token that the provider would reject.
 */
export class FailoverRestorer {
  private readonly saver: RefreshSaver;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private failovers = 0;
  private failedOverAtMs = Number.NEGATIVE_INFINITY;
  private isRestoring = false;
  private isReconnecting = false;
  private isStopping = false;

  constructor({ saver, backgroundTasks, clock, logger }: Dependencies) {
    this.saver = saver;
    this.backgroundTasks = backgroundTasks;
    this.clock = clock;
    this.logger = logger;
  }

  /** False while the database may lack responses that were saved before a failover: no token may be sent. */
  get isSettled(): boolean {
    const sinceMs = this.clock.monotonicMs() - this.failedOverAtMs;
    return sinceMs >= (this.isRestoring ? MAX_SETTLE_MS : SETTLE_MS);
  }

  stop(): void {
    this.isStopping = true;
  }

  onOtherServer(): void {
    const event = 'database.other_server';
    if (this.isSettled) this.logger.warn({ event }, event); // once, although an address may lead to both for a while
    this.failovers += 1;
    this.failedOverAtMs = this.clock.monotonicMs();
    if (!this.isRestoring) void this.backgroundTasks.run(this.restore());
  }

  /** Reads a row as soon as there is a server again: an idle process would otherwise notice a failover too late. */
  onDisconnect(): void {
    if (!this.isReconnecting && !this.isStopping) void this.reconnect();
  }

  private async restore(): Promise<void> {
    this.isRestoring = true;
    let handled: number;
    do {
      handled = this.failovers;
      await this.saver.restoreAll();
    } while (handled !== this.failovers);
    this.isRestoring = false;
  }

  private async reconnect(): Promise<void> {
    this.isReconnecting = true;
    const isRetryable = () => !this.isStopping;
    await retry(() => this.saver.readNewest(), { clock: this.clock, isRetryable }).catch(() => undefined);
    this.isReconnecting = false;
  }
}
