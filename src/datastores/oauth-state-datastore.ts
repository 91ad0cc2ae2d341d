import type { Knex } from 'knex';
import { isDuplicate } from '../db/database-errors.ts';
import type { Session } from '../db/session.ts';
import type { ErrorCode } from '../errors.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import type { CallbackOutcome, UsedLink } from '../models/pending-grant.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';

/** `oauth_states`: the IDs of the states and connect links that were consumed, and how each state's callback ended. */
export class OAuthStateDatastore {
  private readonly session: Session;
  private readonly events: ConnectionEventDatastore;

  constructor({ session, events }: { session: Session; events: ConnectionEventDatastore }) {
    this.session = session;
    this.events = events;
  }

  /** Consumes a state for every replica. False if it was consumed before. */
  async consume(stateId: string, expiresAt: Date): Promise<boolean> {
    try {
      await this.session.query((db) => db('oauth_states').insert({ state_id: stateId, expires_at: expiresAt }));
      return true;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
  }

  /** True if a connection was stored that was made through the link. */
  async isConsumed(link: UsedLink): Promise<boolean> {
    return this.session.query((db) => isConsumedIn(db, link));
  }

  /**
   * Consumes a link in the transaction that stores its connection. False if it was consumed before. A concurrent
   * transaction that inserts the same row fails as a duplicate, and is run again.
   */
  async consumeLink(trx: Knex.Transaction, link: UsedLink): Promise<boolean> {
    if (await isConsumedIn(trx, link)) return false;
    await trx('oauth_states').insert({ state_id: link.id, expires_at: link.expiresAt });
    return true;
  }

  /** Returns how a consumed state's callback ended, or undefined while it is in progress. */
  async findOutcome(stateId: string): Promise<CallbackOutcome | undefined> {
    return this.session.query((db) => this.selectOutcome(db, stateId));
  }

  async selectOutcome(db: Knex, stateId: string): Promise<CallbackOutcome | undefined> {
    const row = await db('oauth_states').where('state_id', stateId).first('outcome', 'outcome_detail');
    return row?.outcome ? toOutcome(row.outcome, row.outcome_detail ?? '') : undefined;
  }

  /** Records how a callback ended, in the transaction that ends it. */
  async setOutcome(trx: Knex.Transaction, stateId: string, outcome: CallbackOutcome): Promise<void> {
    await trx('oauth_states').where('state_id', stateId).update(toColumns(outcome));
  }

  /** Like `setOutcome`, for a state that a failover of the database may have lost. */
  async restoreOutcome(
    trx: Knex.Transaction,
    { stateId, expiresAt }: { stateId: string; expiresAt: Date },
    outcome: CallbackOutcome,
  ): Promise<void> {
    const known = await trx('oauth_states').where('state_id', stateId).first('state_id');
    if (known) await this.setOutcome(trx, stateId, outcome);
    else await trx('oauth_states').insert({ state_id: stateId, expires_at: expiresAt, ...toColumns(outcome) });
  }

  /** Ends a callback that made no connection, with its event. False if it ended before: that outcome remains. */
  async end(stateId: string, outcome: CallbackOutcome, event: ConnectionEvent): Promise<boolean> {
    return this.session.transaction(async (trx) => {
      const changed = await trx('oauth_states')
        .where('state_id', stateId)
        .whereNull('outcome')
        .update(toColumns(outcome));
      if (changed > 0) await this.events.append(trx, event);
      return changed > 0;
    });
  }

  /** Returns the IDs of states that expired before an instant, oldest first. */
  async listExpired(instant: Date, limit: number): Promise<string[]> {
    return this.session.query((db) =>
      db('oauth_states').where('expires_at', '<', instant).orderBy('expires_at').limit(limit).pluck('state_id'),
    );
  }

  async delete(stateIds: string[]): Promise<void> {
    await this.session.query((db) => db('oauth_states').whereIn('state_id', stateIds).delete());
  }
}

async function isConsumedIn(db: Knex, link: UsedLink): Promise<boolean> {
  return (await db('oauth_states').where('state_id', link.id).first('state_id')) !== undefined;
}

function toColumns(outcome: CallbackOutcome) {
  return { outcome: outcome.kind, outcome_detail: detailOf(outcome) ?? null };
}

function detailOf(outcome: CallbackOutcome): string | undefined {
  switch (outcome.kind) {
    case 'connected':
      return undefined;
    case 'pending':
      return outcome.tokenId;
    case 'declined':
      return outcome.error;
    case 'failed':
      return outcome.code;
  }
}

function toOutcome(kind: CallbackOutcome['kind'], detail: string): CallbackOutcome {
  switch (kind) {
    case 'connected':
      return { kind };
    case 'pending':
      return { kind, tokenId: detail };
    case 'declined':
      return { kind, error: detail };
    case 'failed':
      return { kind, code: detail as ErrorCode };
  }
}
