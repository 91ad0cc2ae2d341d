import type { Knex } from 'knex';
import { ConflictError, type Session } from '../db/session.ts';
import type {
  AccountingSystem,
  ActiveConnection,
  Connection,
  ConnectionKey,
  EncryptedTokens,
  LossReason,
  NewConnection,
  RealmId,
} from '../models/connection.ts';
import { type ConnectionEvent, SERVICE } from '../models/connection-event.ts';
import type { Clock } from '../utils/clock.ts';
import { countChange } from './connection-counts.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { NO_LEASE, NO_TOKENS, toConnection, toRow, toTokenColumns } from './oauth-token-row.ts';
import type { PendingRevocation, PendingRevocationDatastore } from './pending-revocation-datastore.ts';
import { appendUnwantedGrant } from './unwanted-grants.ts';

/** What a change that ended a connection leaves to do. */
export interface EndedConnection {
  /** The event that was recorded. */
  event: ConnectionEvent;
  /** The grant to revoke now, or that it is revoked once its company is proven; absent if there is none. */
  revocation: PendingRevocation | 'awaits_proof' | undefined;
  /** The connection that another one replaced; absent if there was none. */
  replacedTokenId?: string | undefined;
}

/** A refresh's response, ready to be saved. */
export interface RefreshedTokens {
  tokens: EncryptedTokens;
  intuitTid: string | undefined;
  nextMaintenanceAt: Date;
}

/** What is recorded of a refresh that failed. */
export interface FailedRefresh {
  /** When a refresh started whose outcome is unknown. */
  startedAt: Date | undefined;
  failures: number;
  /** Milliseconds until the provider may be called again, by the database's clock. */
  backOffMs: number;
  /** Whether no valid access token is left to serve. */
  isFailing: boolean;
  intuitTid: string | undefined;
  nextMaintenanceAt: Date | undefined;
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

  /** Reads the connection for a decision about its refresh token. `backOffMs`: until the provider may be called again. */
  async findForRefresh(key: ConnectionKey): Promise<{ connection: Connection; backOffMs: number } | undefined> {
    const row = await this.session.query((db) =>
      db('oauth_tokens')
        .where(currentOf(key))
        .first('*', this.session.millisecondsUntil('next_refresh_attempt_at', 'back_off_ms')),
    );
    return row && { connection: toConnection(row), backOffMs: Math.max(0, Number(row.back_off_ms ?? 0)) };
  }

  /** True if the organization's active connection names the company, which the provider has not confirmed yet. */
  async isAwaitingProof(key: ConnectionKey, realmId: RealmId): Promise<boolean> {
    const row = await this.session.query((db) =>
      db('oauth_tokens')
        .where({ ...currentOf(key), realm_id: realmId, is_active: 1 })
        .whereNull('last_verified_at')
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
    return { event, revocation, replacedTokenId: current?.tokenId };
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

  /**
   * Acquires the lease by one conditional write, so that only one process gets it: a free one, or one whose takeover this
   * process announced. False if the connection or its lease changed since it was read, or the lease is held.
   */
  async acquireLease(
    connection: Connection,
    { owner, nextMaintenanceAt }: { owner: string; nextMaintenanceAt: Date },
  ): Promise<boolean> {
    const { owner: holder, takeoverOwner } = connection.refresh;
    if (holder !== undefined && takeoverOwner === undefined) return false;
    const changed = await this.session.query((db) =>
      withLease(db, connection)
        .where('refresh_started_at', connection.refresh.startedAt ?? null)
        .where('refresh_failures', connection.refresh.failures) // otherwise the reader missed a back-off
        .update({
          refresh_lease_owner: owner,
          refresh_takeover_owner: null,
          refresh_started_at: this.clock.now(),
          next_maintenance_at: nextMaintenanceAt,
          updated_at: this.clock.now(),
        }),
    );
    return changed > 0;
  }

  /** Announces that a process will take over the lease. Does nothing if the lease changed since it was read. */
  async announceTakeover(connection: Connection, takeoverOwner: string): Promise<void> {
    await this.session.query((db) => withLease(db, connection).update({ refresh_takeover_owner: takeoverOwner }));
  }

  /** Releases a lease under which nothing was sent, and clears its record. False if it is not in the row (yet). */
  async abandonLease({ tokenId, generation, refresh }: Connection, owner: string): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('oauth_tokens')
        .where({ token_id: tokenId, refresh_lease_owner: owner })
        .update({ ...NO_LEASE, refresh_started_at: refresh.startedAt ?? null }),
    );
    if (changed > 0) return true;
    const row = await this.session.query((db) => db('oauth_tokens').where('token_id', tokenId).first('generation'));
    return row?.generation !== generation;
  }

  /**
   * Saves a refresh, even if another process holds the lease by now: a response that waited for the database is still the
   * newest, and revives a lost connection. `isSaved` is false if the connection was refreshed, replaced or disconnected
   * meanwhile.
   */
  async saveRefreshed(
    connection: Connection,
    { tokens, intuitTid, nextMaintenanceAt }: RefreshedTokens,
  ): Promise<{ isSaved: boolean; event?: ConnectionEvent }> {
    return this.session.transaction(async (trx) => {
      const row = await this.selectCurrent(trx, connection);
      if (row?.tokens?.refreshToken === tokens.refreshToken) return { isSaved: true }; // its response was lost
      if (row?.tokenId !== connection.tokenId || !isSuperseding(connection, row)) return { isSaved: false };
      const now = this.clock.now();
      // A process that considered it lost has sent a token that this response replaces. Whether the grant survived that
      // is unknown, so the worker refreshes it now.
      const isInDoubt = connection.state === 'active' && row.state === 'lost';
      const saved = await trx('oauth_tokens')
        .where({ token_id: row.tokenId, generation: row.generation, current_key: 1 })
        .update({
          ...toTokenColumns(tokens),
          ...NO_LEASE,
          is_active: 1,
          deactivated_at: null,
          deactivation_reason: null,
          generation: Math.max(row.generation, connection.generation) + 1,
          refresh_failures: 0,
          next_refresh_attempt_at: null,
          is_refresh_failing: 0,
          recovery_attempts: 0,
          refresh_started_at: isInDoubt ? now : null,
          next_maintenance_at: isInDoubt ? now : nextMaintenanceAt,
          last_refreshed_at: now,
          ...(row.lastVerifiedAt ? { last_verified_at: now } : {}), // a refresh does not prove an unproven company
          last_intuit_tid: intuitTid ?? null,
          updated_at: now,
        });
      if (saved === 0) throw new ConflictError();
      await countChange({ trx, clock: this.clock, from: row.state, to: 'active' });
      const type = row.state === 'lost' ? 'recovered' : row.refresh.isFailing ? 'refresh_recovered' : undefined;
      if (!type) return { isSaved: true };
      return { isSaved: true, event: await this.record(trx, row, { type, actor: SERVICE, intuitTid }) };
    });
  }

  /**
   * Records a refresh that failed, and releases its lease. Does nothing if another process owns the lease by now.
   * Returns the event if the failure is the first that callers notice.
   */
  async releaseLease(
    connection: Connection,
    owner: string,
    failed: FailedRefresh,
  ): Promise<ConnectionEvent | undefined> {
    return this.session.transaction(async (trx) => {
      const held = () =>
        trx('oauth_tokens').where({
          token_id: connection.tokenId,
          generation: connection.generation,
          refresh_lease_owner: owner,
        });
      // The row decides whether this is the first failure, since another process may have failed meanwhile.
      const isFirst =
        failed.isFailing && (await held().where('is_refresh_failing', 0).update({ is_refresh_failing: 1 })) > 0;
      await held().update({
        ...NO_LEASE,
        refresh_started_at: failed.startedAt ?? null,
        refresh_failures: failed.failures,
        next_refresh_attempt_at: failed.backOffMs > 0 ? this.session.databaseNow(failed.backOffMs) : null,
        next_maintenance_at: failed.nextMaintenanceAt ?? null,
        updated_at: this.clock.now(),
      });
      if (!isFirst) return undefined;
      const { intuitTid } = failed;
      return this.record(trx, connection, { type: 'refresh_failing', actor: SERVICE, intuitTid });
    });
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
      return { event, revocation: await this.scheduleRevocation(trx, current) };
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

/**
 * True if the row is still what was refreshed, or older since a failover of the database, or was marked lost since by a
 * process that did not have the response.
 */
function isSuperseding(refreshed: Connection, row: Connection): boolean {
  if (row.generation <= refreshed.generation) return true;
  return row.state === 'lost' && row.generation === refreshed.generation + 1;
}

/** The active connection as it was read: a write to it changes no row if the connection changed meanwhile. */
function unchanged(db: Knex, { tokenId, generation }: ActiveConnection) {
  return db('oauth_tokens').where({ token_id: tokenId, generation, is_active: 1 });
}

/** The connection with the lease that was read: a write to it changes no row if either changed meanwhile. */
function withLease(db: Knex, { tokenId, generation, refresh }: Connection) {
  return db('oauth_tokens').where({
    token_id: tokenId,
    generation,
    current_key: 1,
    refresh_lease_owner: refresh.owner ?? null,
    refresh_takeover_owner: refresh.takeoverOwner ?? null,
  });
}

function currentOf({ organizationId, system }: ConnectionKey) {
  return { organization_id: organizationId, accounting_system: system, current_key: 1 } as const;
}
