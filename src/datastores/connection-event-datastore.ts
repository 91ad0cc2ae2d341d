import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Session } from '../db/session.ts';
import type { ConnectionEventRow } from '../db/tables.ts';
import type { ConnectionKey, OrganizationId } from '../models/connection.ts';
import type { ConnectionEvent, RecordedEvent } from '../models/connection-event.ts';
import type { Clock } from '../utils/clock.ts';
import type { WebhookQueueDatastore } from './webhook-queue-datastore.ts';

interface Dependencies {
  session: Session;
  clock: Clock;
  /** The outbox that every event is also put into; absent if events are not posted. */
  outbox: WebhookQueueDatastore | undefined;
}

/** `connection_events`: each organization's timeline, and the content of its webhooks. */
export class ConnectionEventDatastore {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly outbox: WebhookQueueDatastore | undefined;

  constructor({ session, clock, outbox }: Dependencies) {
    this.session = session;
    this.clock = clock;
    this.outbox = outbox;
  }

  /** Records an event that belongs to no other change, once for each ID. False if it was recorded before. */
  async record(event: ConnectionEvent, eventId: string = randomUUID()): Promise<boolean> {
    return this.session.transaction(async (trx) => {
      if (await trx('connection_events').where('event_id', eventId).first('event_id')) return false;
      await this.append(trx, event, eventId);
      return true;
    });
  }

  /**
   * Records an event in the transaction that makes the change. The outbox comes first: its row makes the organization's
   * writers wait for each other, so that no event is committed behind one that was already delivered.
   */
  async append(trx: Knex.Transaction, event: ConnectionEvent, eventId: string = randomUUID()): Promise<void> {
    const occurredAt = this.clock.now();
    await this.outbox?.enqueue(trx, event.organizationId, occurredAt);
    await trx('connection_events').insert({
      event_id: eventId,
      organization_id: event.organizationId,
      accounting_system: event.system,
      type: event.type,
      reason: event.reason ?? null,
      realm_id: event.realmId ?? null,
      actor: event.actor,
      intuit_tid: event.intuitTid ?? null,
      occurred_at: occurredAt,
    });
  }

  /** Returns a connection's events, newest first. @param before a position that they precede */
  async listNewest(
    { organizationId, system }: ConnectionKey,
    limit: number,
    before?: number,
  ): Promise<RecordedEvent[]> {
    const rows = await this.session.read((db) =>
      db('connection_events')
        .where({ organization_id: organizationId, accounting_system: system })
        .where('position', '<', before ?? Number.MAX_SAFE_INTEGER)
        .orderBy('position', 'desc')
        .limit(limit),
    );
    return rows.map(toEvent);
  }

  /** Returns an organization's first event after a position, or undefined if there is none. */
  async findNext(organizationId: OrganizationId, position: number): Promise<RecordedEvent | undefined> {
    const row = await this.session.query((db) =>
      db('connection_events')
        .where('organization_id', organizationId)
        .where('position', '>', position)
        .orderBy('position')
        .first(),
    );
    return row && toEvent(row);
  }

  /** Returns the positions of events that occurred before an instant, oldest first. */
  async listBefore(instant: Date, limit: number): Promise<number[]> {
    return this.session.query((db) =>
      db('connection_events').where('occurred_at', '<', instant).orderBy('occurred_at').limit(limit).pluck('position'),
    );
  }

  async delete(positions: number[]): Promise<void> {
    await this.session.query((db) => db('connection_events').whereIn('position', positions).delete());
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
