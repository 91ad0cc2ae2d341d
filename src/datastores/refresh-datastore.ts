import type { Knex } from 'knex';
import { ConflictError, type Session } from '../db/session.ts';
import type { Connection, ConnectionKey, EncryptedTokens } from '../models/connection.ts';
import { type ConnectionEvent, SERVICE } from '../models/connection-event.ts';
import type { Clock } from '../utils/clock.ts';
import { countChange } from './connection-counts.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { currentOf, NO_LEASE, toConnection, toTokenColumns } from './oauth-token-row.ts';

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

interface Dependencies {
  session: Session;
  clock: Clock;
  events: ConnectionEventDatastore;
}

/** `oauth_tokens` for a refresh: the lease, and what becomes of the connection under it. */
export class RefreshDatastore {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly events: ConnectionEventDatastore;

  constructor({ session, clock, events }: Dependencies) {
    this.session = session;
    this.clock = clock;
    this.events = events;
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

  /** Releases a lease under which no response was lost, and clears its record. False if it is not in the row (yet). */
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
   * meanwhile, `isMissing` true if a failover of the database has lost the connection, or its organization was erased.
   * `generation` is what the save has made of the row's.
   */
  async saveRefreshed(
    connection: Connection,
    { tokens, intuitTid, nextMaintenanceAt }: RefreshedTokens,
  ): Promise<{ isSaved: boolean; isMissing?: boolean; generation?: number; event?: ConnectionEvent }> {
    return this.session.transaction(async (trx) => {
      const stored = await trx('oauth_tokens').where(currentOf(connection)).first();
      const row = stored && toConnection(stored);
      if (row?.tokens?.refreshToken === tokens.refreshToken) return { isSaved: true, generation: row.generation }; // its response was lost
      if (row?.tokenId !== connection.tokenId) {
        const ended = await trx('oauth_tokens').where('token_id', connection.tokenId).first('token_id');
        return { isSaved: false, isMissing: ended === undefined };
      }
      if (!isSuperseding(connection, row)) return { isSaved: false };
      const now = this.clock.now();
      const generation = Math.max(row.generation, connection.generation) + 1;
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
          generation,
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
      if (!type) return { isSaved: true, generation };
      return { isSaved: true, generation, event: await this.record(trx, row, { type, intuitTid }) };
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
      return this.record(trx, connection, { type: 'refresh_failing', intuitTid });
    });
  }

  private async record(
    trx: Knex.Transaction,
    { organizationId, system, realmId }: Connection,
    facts: Pick<ConnectionEvent, 'type' | 'intuitTid'>,
  ): Promise<ConnectionEvent> {
    const event = { organizationId, system, realmId, actor: SERVICE, ...facts };
    await this.events.append(trx, event);
    return event;
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
