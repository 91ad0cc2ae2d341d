import type { Knex } from 'knex';
import { ConflictError, type Session } from '../db/session.ts';
import type {
  AccountingSystem,
  ActiveConnection,
  Connection,
  ConnectionKey,
  LossReason,
  NewConnection,
  RealmId,
} from '../models/connection.ts';
import { type ConnectionEvent, SERVICE } from '../models/connection-event.ts';
import { MAX_RECOVERIES } from '../models/maintenance.ts';
import type { Clock } from '../utils/clock.ts';
import { countChange } from './connection-counts.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { currentOf, NO_LEASE, NO_TOKENS, toConnection, toRow } from './oauth-token-row.ts';
import type { PendingRevocation, PendingRevocationDatastore } from './pending-revocation-datastore.ts';
import { appendUnwantedGrant } from './unwanted-grants.ts';

/** What a change that ended a connection leaves to do. */
export interface EndedConnection {
  /** The event that was recorded. */
  event: ConnectionEvent;
  /** The grant to revoke now, or that it is revoked once its company is proven; absent if there is none. */
  revocation: PendingRevocation | 'awaits_proof' | undefined;
  /** The connection that ended; absent if there was none. */
  endedTokenId: string | undefined;
}

/** How a connection takes the place of the current one. */
export interface Replacement {
  actor: string;
  nextMaintenanceAt: Date;
  /** The event to record; by default `connected` or `reconnected`. */
  type?: ConnectionEvent['type'];
  /** When it was stored first, if it is stored again; by default now. */
  createdAt?: Date;
}

interface Dependencies {
  session: Session;
  clock: Clock;
  events: ConnectionEventDatastore;
  revocations: PendingRevocationDatastore;
}

/** `oauth_tokens`: one current row for each connected organization, and the rows before it. */
export class OAuthTokenDatastore {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly events: ConnectionEventDatastore;
  private readonly revocations: PendingRevocationDatastore;

  constructor({ session, clock, events, revocations }: Dependencies) {
    this.session = session;
    this.clock = clock;
    this.events = events;
    this.revocations = revocations;
  }

  /** Returns the organization's current connection, active or lost, or undefined if there is none. For decisions. */
  async findCurrent(key: ConnectionKey): Promise<Connection | undefined> {
    return this.session.query((db) => this.selectCurrent(db, key));
  }

  /** Returns a row's generation, and whether it is its organization's current connection; undefined if there is no such row. */
  async findVersion(tokenId: string): Promise<{ isCurrent: boolean; generation: number } | undefined> {
    const row = await this.session.query((db) =>
      db('oauth_tokens').where('token_id', tokenId).first('current_key', 'generation'),
    );
    return row && { isCurrent: row.current_key !== null, generation: row.generation };
  }

  /**
   * True if the organization's connection names the company, which the provider has not confirmed yet. A lost one counts while it
   * may be recovered.
   */
  async isAwaitingProof(key: ConnectionKey, realmId: RealmId): Promise<boolean> {
    const row = await this.session.query((db) =>
      db('oauth_tokens')
        .where({ ...currentOf(key), realm_id: realmId })
        .whereNull('last_verified_at')
        .where((state) =>
          state
            .where({ is_active: 1 })
            .orWhere((lost) =>
              lost
                .where('recovery_attempts', '<', MAX_RECOVERIES)
                .whereNot({ deactivation_reason: 'refresh_token_expired' }),
            ),
        )
        .first('token_id'),
    );
    return row !== undefined;
  }

  /** True if a proven, active connection of any organization uses the company. */
  async isCompanyConnected(system: AccountingSystem, realmId: RealmId): Promise<boolean> {
    const company = { realm_id: realmId, accounting_system: system, is_active: 1 as const };
    const row = await this.session.query((db) =>
      db('oauth_tokens').where(company).whereNotNull('last_verified_at').first('token_id'),
    );
    return row !== undefined;
  }

  /** Connect: stores a connection in place of the organization's current one, in the caller's transaction. */
  async replaceCurrent(
    trx: Knex.Transaction,
    connection: NewConnection,
    { actor, nextMaintenanceAt, type, createdAt = this.clock.now() }: Replacement,
  ): Promise<EndedConnection> {
    const current = await this.selectCurrent(trx, connection);
    if (current) await this.end(trx, current, 'replaced');
    await trx('oauth_tokens').insert(toRow(connection, nextMaintenanceAt, createdAt));
    await countChange({ trx, clock: this.clock, from: current?.state, to: 'active' });
    const event = await this.record(trx, connection, {
      type: type ?? (current ? 'reconnected' : 'connected'),
      actor,
      intuitTid: connection.intuitTid,
    });
    // The same company's old tokens are not revoked: that could end the new grant.
    const isOtherCompany = current && current.realmId !== connection.realmId;
    const revocation = isOtherCompany ? await this.scheduleRevocation(trx, current) : undefined;
    return { event, revocation, endedTokenId: current?.tokenId };
  }

  /** True if the organization's connection was made, replaced or disconnected after an instant. */
  async hasChangedSince(db: Knex, { organizationId, system }: ConnectionKey, instant: Date): Promise<boolean> {
    const row = await db('oauth_tokens')
      .where({ organization_id: organizationId, accounting_system: system })
      .where((change) =>
        change
          .where('created_at', '>', instant)
          .orWhere((ended) =>
            ended.where('deactivated_at', '>', instant).whereIn('deactivation_reason', ['disconnected', 'replaced']),
          ),
      )
      .first('token_id');
    return row !== undefined;
  }

  /** Marks the connection as lost. Returns undefined if it changed since it was read. */
  async markLost(
    connection: ActiveConnection,
    {
      reason,
      intuitTid,
      nextMaintenanceAt,
    }: { reason: LossReason; intuitTid: string | undefined; nextMaintenanceAt: Date },
  ): Promise<ConnectionEvent | undefined> {
    return this.session.transaction(async (trx) => {
      const changed = await unchanged(trx, connection).update({
        ...this.ended(connection, reason),
        next_maintenance_at: nextMaintenanceAt,
        recovery_attempts: 0,
      });
      if (changed === 0) return undefined;
      await countChange({ trx, clock: this.clock, from: 'active', to: 'lost' });
      return this.record(trx, connection, { type: 'lost', actor: SERVICE, reason, intuitTid });
    });
  }

  /** Disconnect: ends the organization's current connection. Returns undefined if there is none. */
  async disconnect(key: ConnectionKey, actor: string): Promise<EndedConnection | undefined> {
    return this.session.transaction(async (trx) => {
      const current = await this.selectCurrent(trx, key);
      if (!current) {
        await this.session.checkAbsence(trx('oauth_tokens').where(currentOf(key)));
        return undefined;
      }
      await this.end(trx, current, 'disconnected');
      await countChange({ trx, clock: this.clock, from: current.state, to: undefined });
      const event = await this.record(trx, current, { type: 'disconnected', actor });
      return { event, revocation: await this.scheduleRevocation(trx, current), endedTokenId: current.tokenId };
    });
  }

  private async end(trx: Knex.Transaction, current: Connection, reason: 'replaced' | 'disconnected'): Promise<void> {
    const ended = await trx('oauth_tokens')
      .where({ token_id: current.tokenId, generation: current.generation })
      .update({ ...this.ended(current, reason), ...NO_TOKENS, next_maintenance_at: null });
    if (ended === 0) throw new ConflictError();
  }

  private ended({ generation }: Connection, reason: LossReason | 'replaced' | 'disconnected') {
    const now = this.clock.now();
    return {
      ...NO_LEASE,
      is_active: 0,
      deactivated_at: now,
      deactivation_reason: reason,
      generation: generation + 1,
      updated_at: now,
    } as const;
  }

  /** A connection whose ciphertext was purged has no grant to revoke. */
  private async scheduleRevocation(
    trx: Knex.Transaction,
    { tokens, ...connection }: Connection,
  ): Promise<EndedConnection['revocation']> {
    if (!tokens) return undefined;
    if (!connection.lastVerifiedAt) {
      await appendUnwantedGrant(trx, { ...connection, tokens }, this.clock.now());
      return 'awaits_proof';
    }
    const { organizationId, system, realmId } = connection;
    return this.revocations.append(trx, { organizationId, system, realmId, refreshToken: tokens.refreshToken });
  }

  private async record(
    trx: Knex.Transaction,
    { organizationId, system, realmId }: ConnectionKey & { realmId: RealmId },
    facts: Pick<ConnectionEvent, 'type' | 'actor' | 'reason' | 'intuitTid'>,
  ): Promise<ConnectionEvent> {
    const event = { organizationId, system, realmId, ...facts };
    await this.events.append(trx, event);
    return event;
  }

  /** Like `findCurrent`, in a transaction. */
  async selectCurrent(db: Knex, key: ConnectionKey): Promise<Connection | undefined> {
    const row = await db('oauth_tokens').where(currentOf(key)).first();
    return row && toConnection(row);
  }
}

/** The active connection as it was read: a write to it changes no row if the connection changed meanwhile. */
function unchanged(db: Knex, { tokenId, generation }: ActiveConnection) {
  return db('oauth_tokens').where({ token_id: tokenId, generation, is_active: 1 });
}
