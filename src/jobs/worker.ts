import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import type { PendingRevocationDatastore } from '../datastores/pending-revocation-datastore.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { GrantRevoker } from '../services/grant-revoker.ts';
import type { CareOutcome, Caretaker } from './maintenance-job.ts';
import type { Webhooks } from './webhook-job.ts';

const TICK_MS = 5_000;
/** A few calls to the provider in a second, from each replica. */
const PACE_MS = 300;
const BATCH = 100;
const WEBHOOKS_AT_ONCE = 8;
/** Where the provider is in trouble it is left alone, doubling from the first pause to the longest. */
const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 5 * 60_000;
const REVOCATION_CLAIM_MS = 60_000;
const DAY_MS = 86_400_000;
const EVENTS_KEPT_MS = 400 * DAY_MS;
/** Beyond their expiry, for replicas whose clocks differ: a state that is forgotten could be used again. */
const STATES_KEPT_MS = DAY_MS;

/** What the worker works with. */
interface WorkerParts {
  caretaker: Caretaker;
  revocations: PendingRevocationDatastore;
  revoker: GrantRevoker;
  webhooks: Webhooks | undefined;
  states: OAuthStateDatastore;
  events: ConnectionEventDatastore;
}

interface Job {
  name: string;
  work: () => Promise<void>;
}

/**
 * Does what is due though nobody asks: cares for connections, makes revocations, delivers webhooks, cleans up. Any number
 * of workers share the work: each thing is claimed by a conditional write before it is done.
 */
export class Worker {
  private readonly jobs: Job[] = [
    { name: 'connections', work: () => this.careForConnections() },
    { name: 'revocations', work: () => this.makeRevocations() },
    { name: 'webhooks', work: () => this.deliverWebhooks() },
    { name: 'clean-up', work: () => this.cleanUp() },
  ];
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private troubles = 0;
  private resumeAt = 0;

  constructor(
    private readonly parts: WorkerParts,
    private readonly logger: Logger,
    private readonly metrics: Metrics,
    private readonly now: () => Date,
    private readonly paceMs = PACE_MS,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  /** Finishes what it is at. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** One round: each job with what is due now. */
  async tick(): Promise<void> {
    await Promise.all(this.jobs.map((job) => this.attempt(job)));
  }

  /** Each job at its own pace: a slow receiver of webhooks delays no connection's care. */
  private async run(): Promise<void> {
    await Promise.all(
      this.jobs.map(async (job) => {
        while (!this.stopping.signal.aborted) {
          await this.attempt(job);
          await this.rest(TICK_MS * (0.5 + Math.random()));
        }
      }),
    );
  }

  /** A job that fails keeps no other from its turn. */
  private async attempt({ name, work }: Job): Promise<void> {
    try {
      await work();
      this.metrics.workerRuns.inc({ task: name, outcome: 'ok' });
    } catch (error) {
      this.metrics.workerRuns.inc({ task: name, outcome: 'failed' });
      const isAway = error instanceof AppError && error.code === 'service_unavailable';
      this.logger[isAway ? 'warn' : 'error']({ job: name, err: error }, 'worker job failed');
    }
  }

  private async careForConnections(): Promise<void> {
    await this.eachInTurn(await this.unlessPaused(() => this.parts.caretaker.listDue(BATCH)), async (connection) => {
      return this.parts.caretaker.care(connection);
    });
  }

  private async makeRevocations(): Promise<void> {
    const { revocations, revoker } = this.parts;
    await this.eachInTurn(await this.unlessPaused(() => revocations.listDue(this.now(), BATCH)), async (due) => {
      const claimed = await revocations.claim(due, new Date(this.now().getTime() + REVOCATION_CLAIM_MS));
      if (!claimed) return 'quiet';
      return (await revoker.revoke(claimed)) ? 'called' : 'trouble';
    });
  }

  private async deliverWebhooks(): Promise<void> {
    const { webhooks } = this.parts;
    if (!webhooks) return;
    const due = await webhooks.listDue(BATCH);
    const deliverNext = async () => {
      for (let queue = due.shift(); queue && !this.stopping.signal.aborted; queue = due.shift()) {
        await webhooks.deliver(queue);
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: WEBHOOKS_AT_ONCE }, deliverNext));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  private async cleanUp(): Promise<void> {
    await this.parts.states.deleteExpired(new Date(this.now().getTime() - STATES_KEPT_MS), BATCH);
    await this.parts.events.deleteBefore(new Date(this.now().getTime() - EVENTS_KEPT_MS), BATCH);
  }

  /** Shuffled, so that workers with the same batch seldom meet; at a pace; until the provider is in trouble. */
  private async eachInTurn<Item>(items: Item[], work: (item: Item) => Promise<CareOutcome>) {
    const shuffled = items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at);
    for (const { item } of shuffled) {
      if (this.stopping.signal.aborted || this.isPaused()) return;
      const outcome = await work(item);
      if (outcome === 'quiet') continue;
      this.noteTrouble(outcome === 'trouble');
      await this.rest(this.paceMs * (0.5 + Math.random()));
    }
  }

  private async unlessPaused<Item>(list: () => Promise<Item[]>): Promise<Item[]> {
    return this.isPaused() ? [] : list();
  }

  private isPaused(): boolean {
    return this.now().getTime() < this.resumeAt;
  }

  private noteTrouble(isTrouble: boolean): void {
    this.troubles = isTrouble ? this.troubles + 1 : 0;
    if (!isTrouble) return;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.troubles - 1), LONGEST_PAUSE_MS);
    this.resumeAt = this.now().getTime() + pause * (0.5 + Math.random() / 2);
    this.logger.warn({ pause_ms: Math.round(pause) }, 'the provider is in trouble: the worker leaves it alone');
  }

  private async rest(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }
}
