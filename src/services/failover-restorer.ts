import type { Logger } from '../observability/logger.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import type { NewConnectionRestorer } from './new-connection-restorer.ts';
import { MAX_RESTORE_MS, RESTORE_MS } from './refresh-policy.ts';
import type { RefreshSaver } from './refresh-saver.ts';

/** How long a connection that is missing may take to be restored by another process, before it is looked for again. */
const MISSING_PAUSE_MS = RESTORE_MS / 2;

interface Dependencies {
  newConnections: NewConnectionRestorer;
  saver: RefreshSaver;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/**
 * Handles failovers of the database that lose commits, as asynchronous replication does: this process writes back the
 * connections and the responses that it has saved, and no token is refreshed until the other processes had the time to do
 * the same. A row that lacks the latest response has a token that the provider would reject.
 */
export class FailoverRestorer {
  private readonly newConnections: NewConnectionRestorer;
  private readonly saver: RefreshSaver;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private failovers = 0;
  private failedOverAtMs = Number.NEGATIVE_INFINITY;
  private isRestoring = false;
  private isReconnecting = false;
  private isStopping = false;

  constructor({ newConnections, saver, backgroundTasks, clock, logger }: Dependencies) {
    this.newConnections = newConnections;
    this.saver = saver;
    this.backgroundTasks = backgroundTasks;
    this.clock = clock;
    this.logger = logger;
  }

  /** False while the database may lack responses that were saved before a failover: no token may be sent. */
  get isRestored(): boolean {
    return this.sinceFailoverMs >= (this.isRestoring ? MAX_RESTORE_MS : RESTORE_MS);
  }

  stop(): void {
    this.isStopping = true;
  }

  onOtherServer(): void {
    const event = 'database.other_server';
    if (this.isRestored) this.logger.warn({ event }, event); // once, although an address may lead to both for a while
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
    let missing: number;
    do {
      handled = this.failovers;
      await this.newConnections.restoreAll(); // first: a response can be written back only to a row
      missing = await this.saver.restoreAll();
    } while (handled !== this.failovers || (missing > 0 && (await this.waitForOthers())));
    this.isRestoring = false;
  }

  /** Waits until other processes may have restored more. False if they had the time that they get. */
  private async waitForOthers(): Promise<boolean> {
    if (this.isStopping || this.sinceFailoverMs >= RESTORE_MS) return false;
    await this.clock.sleep(MISSING_PAUSE_MS);
    return true;
  }

  private get sinceFailoverMs(): number {
    return this.clock.monotonicMs() - this.failedOverAtMs;
  }

  private async reconnect(): Promise<void> {
    this.isReconnecting = true;
    const isRetryable = () => !this.isStopping;
    const read = async () => {
      await this.newConnections.readNewest();
      await this.saver.readNewest();
    };
    await retry(read, { clock: this.clock, isRetryable }).catch(() => undefined);
    this.isReconnecting = false;
  }
}
