import type { Session } from '../db/session.ts';
import type { WebhookQueueRow } from '../db/tables.ts';

/** How far one organization's events were delivered. */
export interface WebhookQueue {
  organizationId: string;
  deliveredPosition: number;
  version: number;
  failures: number;
  /** Due at this instant; and, once claimed, the mark that the claim is told by. */
  nextAttemptAt: Date;
}

/** `webhook_queues`: one row for each organization that has events to be told. */
export class WebhookQueueDatastore {
  constructor(private readonly session: Session) {}

  /** The queues that are due, the longest waiting first. */
  async listDue(now: Date, most: number): Promise<WebhookQueue[]> {
    const rows = await this.session.query((db) =>
      db('webhook_queues').where('next_attempt_at', '<=', now).orderBy('next_attempt_at').limit(most),
    );
    return rows.map(toQueue);
  }

  /** The organization's queue, if anything waits in it. */
  async find(organizationId: string): Promise<WebhookQueue | undefined> {
    const row = await this.session.query((db) =>
      db('webhook_queues').where('organization_id', organizationId).whereNotNull('next_attempt_at').first(),
    );
    return row && toQueue(row);
  }

  /** Takes the right to deliver until an instant. Undefined where somebody else has it. */
  async claim(queue: WebhookQueue, until: Date): Promise<WebhookQueue | undefined> {
    return (await this.change(queue, { next_attempt_at: until })) ? { ...queue, nextAttemptAt: until } : undefined;
  }

  /** Notes that the events up to a position are delivered, or given up, and renews the claim. Undefined where it is lost. */
  async advance(queue: WebhookQueue, position: number, until: Date): Promise<WebhookQueue | undefined> {
    const isMine = await this.change(queue, { delivered_position: position, failures: 0, next_attempt_at: until });
    return isMine ? { ...queue, deliveredPosition: position, failures: 0, nextAttemptAt: until } : undefined;
  }

  async postpone(queue: WebhookQueue, until: Date): Promise<boolean> {
    return this.change(queue, { failures: queue.failures + 1, next_attempt_at: until });
  }

  /** Ends the claim on a queue that is empty. False where an event came in meanwhile. */
  async finish(queue: WebhookQueue): Promise<boolean> {
    return this.change(queue, { next_attempt_at: null }, queue.version);
  }

  /** The claimed queue as it is by now. Undefined where the claim is lost. */
  async reread({ organizationId, nextAttemptAt }: WebhookQueue): Promise<WebhookQueue | undefined> {
    const queue = await this.find(organizationId);
    return queue?.nextAttemptAt.getTime() === nextAttemptAt.getTime() ? queue : undefined;
  }

  /** Writes while the claim holds. */
  private async change(queue: WebhookQueue, changes: Partial<WebhookQueueRow>, version?: number): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('webhook_queues')
        .where({ organization_id: queue.organizationId, next_attempt_at: queue.nextAttemptAt })
        .where(version === undefined ? {} : { version })
        .update(changes),
    );
    return changed > 0;
  }
}

function toQueue(row: WebhookQueueRow): WebhookQueue {
  return {
    organizationId: row.organization_id,
    deliveredPosition: Number(row.delivered_position),
    version: row.version,
    failures: row.failures,
    nextAttemptAt: new Date(row.next_attempt_at ?? 0),
  };
}
