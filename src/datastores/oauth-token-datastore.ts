import type { Knex } from 'knex';
import { ConflictError, type Session } from '../db/session.ts';
import type { AccountingSystem, Connection, LossReason, NewConnection, SealedTokens } from '../models/connection.ts';
import { type ConnectionEventType, SERVICE } from '../models/connection-event.ts';
import { nextCareOfActive, nextCareOfLost, nextCareOfUnknown } from '../models/maintenance.ts';
import { countChange } from './connection-counts.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { LEASE_RUNNING_OUT, NO_CIPHERTEXT, NO_LEASE, toConnection, toRow, toTokenColumns } from './oauth-token-row.ts';
import type { PendingRevocation, PendingRevocationDatastore } from './pending-revocation-datastore.ts';

/** What is noted of a refresh that failed. */
export interface FailedRefresh {
  /** Since when a refresh's outcome is unknown. */
  startedAt: Date | undefined;
  failures: number;
  nextAttemptAt: Date | undefined;
  /** Lets the lease run out instead of ending it. */
  keepsLease: boolean;
  /** No valid access token is left to serve. */
  isFailing: boolean;
}

/** The worker tries a revocation after this long: who noted it tries first. */
const REVOCATION_HEADSTART_MS = 60_000;

/** `oauth_tokens`: one current row for each connected organization, and the rows that came before it. */
export class OAuthTokenDatastore {
  constructor(
    private readonly session: Session,
    private readonly events: ConnectionEventDatastore,
    private readonly revocations: PendingRevocationDatastore,
    private readonly now: () => Date,
  ) {}

  /** The organization's connection, active or lost: one row by its unique index, whatever the history. */
  async findCurrent(organizationId: string, system: AccountingSystem): Promise<Connection | undefined> {
    return this.session.query((db) => this.selectCurrent(db, organizationId, system));
  }

  /** True where an active connection of any organization uses the company. */
  async isCompanyConnected(realmId: string, system: AccountingSystem): Promise<boolean> {
    const company = { realm_id: realmId, accounting_system: system, is_active: 1 as const };
    return this.session.query(async (db) => (await db('oauth_tokens').where(company).first('token_id')) !== undefined);
  }

  /** Stores a new connection in place of the organization's current one. May be repeated. Answers what is to be revoked now. */
  async replaceActive(connection: NewConnection, actor: string): Promise<PendingRevocation | undefined> {
    const { organizationId, system, realmId, tokenId } = connection;
    return this.session.transaction(async (trx) => {
      const current = await this.selectCurrent(trx, organizationId, system);
      if (current?.tokenId === tokenId) return undefined; // stored before, by a try whose answer was lost
      if (current) await this.end(trx, current, 'replaced');
      await trx('oauth_tokens').insert(toRow(connection, this.now()));
      await countChange(trx, current && stateOf(current), 'active');
      await this.tell(trx, connection, current ? 'reconnected' : 'connected', {
        actor,
        intuitTid: connection.intuitTid,
      });
      // The same company's old tokens are left alone: to revoke them could end the new grant.
      return current && current.realmId !== realmId ? this.noteGrant(trx, current) : undefined;
    });
  }

  /**
   * Takes the right to refresh: one conditional write, so that one process alone gets it. The lease ends by itself, by
   * the database's clock. False where somebody else holds it or the connection changed since it was read.
   */
  async acquireRefreshLease(connection: Connection, owner: string, milliseconds: number): Promise<boolean> {
    const changed = await this.session.query((db) =>
      ifUnchanged(db, connection)
        .where('refresh_started_at', connection.refresh.startedAt ?? null)
        .where('refresh_failures', connection.refresh.failures) // else its reader knows nothing of a back-off
        .where((lease) =>
          lease.whereNull('refresh_lease_expires_at').orWhere('refresh_lease_expires_at', '<=', this.session.clock()),
        )
        .update({
          refresh_lease_owner: owner,
          refresh_lease_expires_at: this.session.clock(milliseconds),
          refresh_started_at: this.now(),
          next_care_at: nextCareOfUnknown(this.now(), milliseconds),
          updated_at: this.now(),
        }),
    );
    return changed > 0;
  }

  /**
   * Saves a refresh, whoever holds the lease by now: an answer that waited for the database is still the newest one, and
   * revives a connection that is lost. False where the connection was refreshed, replaced or disconnected meanwhile.
   */
  async saveRefreshed(connection: Connection, tokens: SealedTokens): Promise<boolean> {
    return this.session.transaction(async (trx) => {
      const row = await this.selectCurrent(trx, connection.organizationId, connection.system);
      if (row?.tokenId !== connection.tokenId || !isAnswered(row, connection)) return false;
      // Who took it for lost has sent a token that this answer replaces: whether the grant survived that is not known.
      const isInDoubt = connection.isActive && !row.isActive;
      const doubt = { refresh_started_at: this.now(), next_care_at: nextCareOfUnknown(this.now()) };
      const saved = await trx('oauth_tokens')
        .where({ token_id: row.tokenId, generation: row.generation, current_key: 1 })
        .update({
          ...toTokenColumns(tokens),
          ...NO_LEASE,
          is_active: 1,
          deactivated_at: null,
          deactivation_reason: null,
          generation: row.generation + 1,
          refresh_failures: 0,
          next_refresh_attempt_at: null,
          is_refresh_failing: 0,
          recoveries: 0,
          next_care_at: nextCareOfActive({ ...row, ...tokens }, row.care.isExpiringTold, this.now()),
          ...(isInDoubt ? doubt : {}),
          last_refreshed_at: this.now(),
          updated_at: this.now(),
        });
      if (saved === 0) throw new ConflictError('the connection was changed meanwhile');
      const facts = { actor: SERVICE, intuitTid: tokens.intuitTid };
      await countChange(trx, stateOf(row), 'active');
      if (!row.isActive) await this.tell(trx, row, 'recovered', facts);
      else if (row.refresh.isFailing) await this.tell(trx, row, 'refresh_recovered', facts);
      return true;
    });
  }

  /** Notes a refresh that failed, and ends its lease. False where the lease is somebody else's by now. */
  async failRefresh(
    connection: Connection,
    owner: string,
    failed: FailedRefresh,
    intuitTid?: string,
  ): Promise<boolean> {
    return this.session.transaction(async (trx) => {
      const held = () => ifUnchanged(trx, connection).where('refresh_lease_owner', owner);
      // The row decides whether this is news, since what was read of it may be older than another's failure.
      const isNews =
        failed.isFailing && (await held().where({ is_refresh_failing: 0 }).update({ is_refresh_failing: 1 })) > 0;
      if (isNews) await this.tell(trx, connection, 'refresh_failing', { actor: SERVICE, intuitTid });
      const changed = await held().update({
        ...(failed.keepsLease ? LEASE_RUNNING_OUT : NO_LEASE),
        refresh_started_at: failed.startedAt ?? null,
        next_care_at: failed.startedAt ? nextCareOfUnknown(this.now()) : (connection.care.nextAt ?? null),
        refresh_failures: failed.failures,
        next_refresh_attempt_at: failed.nextAttemptAt ?? null,
        updated_at: this.now(),
      });
      return changed > 0;
    });
  }

  /** Makes the connection a lost one. False where it changed since it was read. */
  async deactivate(connection: Connection, reason: LossReason, intuitTid?: string): Promise<boolean> {
    return this.session.transaction(async (trx) => {
      const changed = await ifUnchanged(trx, connection).update({
        ...this.inactive(connection, reason),
        next_care_at: nextCareOfLost(reason, this.now(), 0, this.now()),
        recoveries: 0,
      });
      if (changed === 0) return false;
      await countChange(trx, 'active', 'lost');
      await this.tell(trx, connection, 'lost', { actor: SERVICE, reason, intuitTid });
      return true;
    });
  }

  /** Ends the organization's current connection. Answers what is to be revoked now. */
  async disconnect(
    organizationId: string,
    system: AccountingSystem,
    actor: string,
  ): Promise<PendingRevocation | undefined> {
    return this.session.transaction(async (trx) => {
      const current = await this.selectCurrent(trx, organizationId, system);
      if (!current) return undefined;
      await this.end(trx, current, 'disconnected');
      await countChange(trx, stateOf(current), undefined);
      await this.tell(trx, current, 'disconnected', { actor });
      return this.noteGrant(trx, current);
    });
  }

  private async end(trx: Knex.Transaction, current: Connection, reason: 'replaced' | 'disconnected'): Promise<void> {
    const ended = await trx('oauth_tokens')
      .where({ token_id: current.tokenId, generation: current.generation })
      .update({ ...this.inactive(current, reason), ...NO_CIPHERTEXT, next_care_at: null });
    if (ended === 0) throw new ConflictError('the connection was changed meanwhile');
  }

  private inactive({ generation }: Connection, reason: LossReason | 'replaced' | 'disconnected') {
    const now = this.now();
    const ended = { is_active: 0, deactivated_at: now, deactivation_reason: reason, updated_at: now } as const;
    return { ...NO_LEASE, ...ended, generation: generation + 1 };
  }

  /** A connection lost so long ago that its ciphertext was deleted has no grant to revoke. */
  private async noteGrant(trx: Knex.Transaction, ended: Connection): Promise<PendingRevocation | undefined> {
    if (ended.refreshToken === '') return undefined;
    return this.revocations.append(trx, ended, new Date(this.now().getTime() + REVOCATION_HEADSTART_MS));
  }

  private async tell(
    trx: Knex.Transaction,
    { organizationId, system, realmId }: Pick<NewConnection, 'organizationId' | 'system' | 'realmId'>,
    type: ConnectionEventType,
    facts: { actor: string; reason?: string; intuitTid?: string | undefined },
  ): Promise<void> {
    await this.events.append(trx, { organizationId, system, realmId, type, ...facts });
  }

  private async selectCurrent(db: Knex, organizationId: string, system: AccountingSystem) {
    const row = await db('oauth_tokens')
      .where({ organization_id: organizationId, accounting_system: system, current_key: 1 })
      .first('*', this.session.isLeased());
    return row && toConnection(row);
  }
}

/** True where the row is still what was refreshed, or was taken for lost since by somebody without the answer. */
function isAnswered(row: Connection, refreshed: Connection): boolean {
  return row.generation === refreshed.generation || (!row.isActive && row.generation === refreshed.generation + 1);
}

function stateOf({ isActive }: Connection): 'active' | 'lost' {
  return isActive ? 'active' : 'lost';
}

/** The active connection as it was read: a write to it finds no row where it changed since. */
function ifUnchanged(db: Knex, { tokenId, generation }: Connection): Knex.QueryBuilder {
  return db('oauth_tokens').where({ token_id: tokenId, generation, is_active: 1 });
}
