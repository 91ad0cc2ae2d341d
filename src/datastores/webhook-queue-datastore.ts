import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { WebhookQueueRow } from '../db/tables.ts';
import type { OrganizationId } from '../models/connection.ts';

/** How far one organization's events were delivered. */
export interface WebhookQueue {
  organizationId: OrganizationId;
  deliveredPosition: number;
  version: number;
  attempts: number;
  /** Due at this instant; once claimed, it also identifies the claim. */
  nextAttemptAt: Date;
}

/** `webhook_queues`: the outbox, with one row for each organization that has events to deliver. */
export class WebhookQueueDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Marks the organization's queue as due, in the transaction that records an event. */
  async enqueue(trx: Knex.Transaction, organizationId: OrganizationId, occurredAt: Date): Promise<void> {
    const last = trx('connection_events').where('organization_id', organizationId).max('position');
    await trx('webhook_queues')
      .insert({
        organization_id: organizationId,
        delivered_position: trx.raw('COALESCE((?), 0)', [last]),
        version: 1,
        next_attempt_at: occurredAt,
      })
      .onConflict('organization_id')
      .merge({
        version: trx.raw('webhook_queues.version + 1'),
        next_attempt_at: trx.raw('COALESCE(webhook_queues.next_attempt_at, ?)', [occurredAt]),
      });
  }

  /** Returns the queues that are due, the earliest first. */
  async listDue(now: Date, limit: number): Promise<WebhookQueue[]> {
    const rows = await this.session.query((db) =>
      db('webhook_queues').where('next_attempt_at', '<=', now).orderBy('next_attempt_at').limit(limit),
    );
    return rows.map(toQueue);
  }

  /** Acquires the right to deliver until an instant. Returns undefined if another worker has it. */
  async claim(queue: WebhookQueue, until: Date): Promise<WebhookQueue | undefined> {
    return (await this.update(queue, { next_attempt_at: until })) ? { ...queue, nextAttemptAt: until } : undefined;
  }

  /** Records that the events up to a position are delivered or dropped, and renews the claim. Undefined if it is lost. */
  async advance(queue: WebhookQueue, position: number, until: Date): Promise<WebhookQueue | undefined> {
    const isClaimed = await this.update(queue, { delivered_position: position, attempts: 0, next_attempt_at: until });
    return isClaimed ? { ...queue, deliveredPosition: position, attempts: 0, nextAttemptAt: until } : undefined;
  }

  async postpone(queue: WebhookQueue, until: Date): Promise<void> {
    await this.update(queue, { attempts: queue.attempts + 1, next_attempt_at: until });
  }

  /** Releases the claim on an empty queue. False if an event was enqueued meanwhile. */
  async finish(queue: WebhookQueue): Promise<boolean> {
    return this.update(queue, { next_attempt_at: null }, { version: queue.version });
  }

  /** Reads a claimed queue again. Undefined if the claim is lost. */
  async reread({ organizationId, nextAttemptAt }: WebhookQueue): Promise<WebhookQueue | undefined> {
    const row = await this.session.query((db) =>
      db('webhook_queues').where({ organization_id: organizationId, next_attempt_at: nextAttemptAt }).first(),
    );
    return row && toQueue(row);
  }

  /** Writes while the claim holds. */
  private async update(
    queue: WebhookQueue,
    changes: Partial<Omit<WebhookQueueRow, 'organization_id'>>,
    condition: { version?: number } = {},
  ): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('webhook_queues')
        .where({ organization_id: queue.organizationId, next_attempt_at: queue.nextAttemptAt, ...condition })
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
    attempts: row.attempts,
    nextAttemptAt: new Date(row.next_attempt_at ?? 0),
  };
}
