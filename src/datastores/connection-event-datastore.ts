import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { ConnectionEventRow } from '../db/tables.ts';
import type { ConnectionEvent, RecordedEvent } from '../models/connection-event.ts';

/** `connection_events`: each organization's timeline, and what its webhooks are made of. */
export class ConnectionEventDatastore {
  constructor(
    private readonly session: Session,
    private readonly now: () => Date,
    /** Called once an event is committed. */
    private readonly told: (event: ConnectionEvent) => void,
    /** False where nobody is to be told by webhook. */
    private readonly isPosted: boolean,
  ) {}

  /** Records an event that no other change belongs to. */
  async record(event: ConnectionEvent): Promise<void> {
    await this.session.transaction((trx) => this.append(trx, event));
  }

  /** Records an event in the transaction that makes the change. */
  async append(trx: Knex.Transaction, event: ConnectionEvent): Promise<void> {
    const occurredAt = this.now();
    if (this.isPosted) await this.enqueue(trx, event.organizationId, occurredAt);
    await trx('connection_events').insert({
      event_id: randomUUID(),
      organization_id: event.organizationId,
      accounting_system: event.system,
      type: event.type,
      reason: event.reason ?? null,
      realm_id: event.realmId ?? null,
      actor: event.actor,
      intuit_tid: event.intuitTid ?? null,
      occurred_at: occurredAt,
    });
    void trx.executionPromise.then(
      () => this.told(event),
      () => undefined,
    );
  }

  /** An organization's events, newest first. @param before a position that they come before */
  async listNewest(organizationId: string, most: number, before?: number): Promise<RecordedEvent[]> {
    return this.list((events) =>
      events
        .where('organization_id', organizationId)
        .modify((query) => before !== undefined && query.where('position', '<', before))
        .orderBy('position', 'desc')
        .limit(most),
    );
  }

  /** An organization's events after a position, oldest first. */
  async listAfter(organizationId: string, position: number, most: number): Promise<RecordedEvent[]> {
    return this.list((events) =>
      events.where('organization_id', organizationId).where('position', '>', position).orderBy('position').limit(most),
    );
  }

  /** Deletes some of the events that are older. Answers how many. */
  async deleteBefore(instant: Date, most: number): Promise<number> {
    const old = await this.session.query((db) =>
      db('connection_events').where('occurred_at', '<', instant).orderBy('occurred_at').limit(most).pluck('position'),
    );
    if (old.length === 0) return 0;
    return this.session.query((db) => db('connection_events').whereIn('position', old).delete());
  }

  /**
   * Marks the organization's queue as due. It comes before the event: the queue's row makes the organization's writers wait
   * for each other, so that no event is committed behind one that was already delivered past it.
   */
  private async enqueue(trx: Knex.Transaction, organizationId: string, occurredAt: Date): Promise<void> {
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

  private async list(narrow: (events: Knex.QueryBuilder<ConnectionEventRow>) => unknown): Promise<RecordedEvent[]> {
    const rows = await this.session.query(async (db) => {
      const events = db<ConnectionEventRow>('connection_events');
      narrow(events);
      return (await events) as ConnectionEventRow[];
    });
    return rows.map(toEvent);
  }
}

function toEvent(row: ConnectionEventRow): RecordedEvent {
  return {
    eventId: row.event_id,
    organizationId: row.organization_id,
    system: row.accounting_system,
    type: row.type,
    reason: row.reason ?? undefined,
    realmId: row.realm_id ?? undefined,
    actor: row.actor,
    intuitTid: row.intuit_tid ?? undefined,
    occurredAt: new Date(row.occurred_at),
    position: Number(row.position),
  };
}
