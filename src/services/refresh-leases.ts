import { randomUUID } from 'node:crypto';
import type { RefreshDatastore } from '../datastores/refresh-datastore.ts';
import { hasCode } from '../errors.ts';
import type { Connection } from '../models/connection.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { Stopwatch } from '../utils/stopwatch.ts';
import * as policy from './refresh-policy.ts';

/** The right to refresh one connection, as its row records it. */
export interface Lease {
  /** Identifies this lease: a write that names it has no effect once another process has taken over. */
  owner: string;
  /** False once another process may be about to take over: the token must not be sent any more. */
  maySend: () => boolean;
}

interface LeaseRequest {
  connection: Connection;
  /** How long a holder may take before another process takes over. */
  leaseMs: number;
  nextMaintenanceAt: Date;
}

interface Dependencies {
  refreshes: RefreshDatastore;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
}

/**
 * Grants the right to refresh to one process at a time. The owner in the row and the row's generation are facts; no
 * instant in the row is, since replicas and database nodes have clocks of their own. A process takes over only a lease
 * that it has itself seen unchanged for the whole lease time, by its own monotonic clock, and in two steps: it announces
 * the takeover by a write, waits, and then confirms it. While the database accepts no writes, no process can announce;
 * once it does again, the holder has the pause to save its response.
 */
export class RefreshLeases {
  private readonly refreshes: RefreshDatastore;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  /** The lease of each connection as this process saw it last, and since when it is unchanged. */
  private readonly seen = new Map<string, { fingerprint: string; sinceMs: number }>();
  /** Why it is unknown whether this process holds a connection's lease, until it could look. */
  private readonly inDoubt = new Map<string, unknown>();
  /** Names this process in announcements. */
  private readonly processId = randomUUID();

  constructor({ refreshes, backgroundTasks, clock }: Dependencies) {
    this.refreshes = refreshes;
    this.backgroundTasks = backgroundTasks;
    this.clock = clock;
  }

  /**
   * Acquires a free lease, or proceeds with the takeover of one whose holder is gone. Undefined if not acquired yet.
   * @throws AppError `service_unavailable`, as before, until the outcome of an acquiring write that failed is known
   */
  async tryAcquire(request: LeaseRequest): Promise<Lease | undefined> {
    const { connection, leaseMs } = request;
    const doubt = this.inDoubt.get(connection.tokenId);
    if (doubt) throw doubt;
    const { owner, takeoverOwner } = connection.refresh;
    if (owner === undefined) {
      this.seen.delete(connection.tokenId);
      return this.acquire(request);
    }
    const unchangedMs = this.unchangedMs(connection);
    if (takeoverOwner === this.processId) {
      return unchangedMs < policy.TAKEOVER_PAUSE_MS ? undefined : this.acquire(request);
    }
    if (unchangedMs >= leaseMs) await this.refreshes.announceTakeover(connection, this.processId);
    return undefined;
  }

  /**
   * Releases a lease under which nothing was sent, or whose call's outcome is known, in the background and as soon as the
   * database allows it: no process has to wait for its takeover, or to assume that a response was lost.
   */
  abandon(connection: Connection, owner: string): void {
    const startedMs = this.clock.monotonicMs();
    const release = async () => {
      const isReleased = await this.refreshes.abandonLease(connection, owner);
      this.inDoubt.delete(connection.tokenId);
      if (!isReleased) throw new Error('the lease is not in the row');
    };
    // The acquiring write may take effect after this one, so that one without effect is repeated for a while.
    const isRetryable = (error: unknown) =>
      hasCode(error, 'service_unavailable') || this.clock.monotonicMs() - startedMs < policy.ABANDON_MS;
    this.backgroundTasks.run(retry(release, { clock: this.clock, isRetryable })).catch(() => {
      this.inDoubt.delete(connection.tokenId);
    });
  }

  private async acquire({ connection, nextMaintenanceAt }: LeaseRequest): Promise<Lease | undefined> {
    const owner = randomUUID();
    const stopwatch = new Stopwatch(this.clock);
    const maySend = () => stopwatch.elapsedMs() < policy.SAVE_MS / 2;
    try {
      if (!(await this.refreshes.acquireLease(connection, { owner, nextMaintenanceAt }))) return undefined;
    } catch (error) {
      this.inDoubt.set(connection.tokenId, error); // the write may have taken effect
      this.abandon(connection, owner);
      throw error;
    }
    if (maySend()) return { owner, maySend };
    this.abandon(connection, owner);
    return undefined;
  }

  private unchangedMs({ tokenId, generation, refresh }: Connection): number {
    const fingerprint = `${generation} ${refresh.owner} ${refresh.takeoverOwner}`;
    const now = this.clock.monotonicMs();
    const seen = this.seen.get(tokenId);
    if (seen?.fingerprint === fingerprint) return now - seen.sinceMs;
    if (this.seen.size >= policy.MAX_OBSERVED_LEASES) this.seen.clear();
    this.seen.set(tokenId, { fingerprint, sinceMs: now });
    return 0;
  }
}
