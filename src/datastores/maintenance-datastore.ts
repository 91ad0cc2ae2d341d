import type { Session } from '../db/session.ts';
import type { OAuthTokenUpdate } from '../db/tables.ts';
import type { AccountingSystem, ActiveConnection, Connection, LostConnection, RealmId } from '../models/connection.ts';
import { type ConnectionEvent, SERVICE } from '../models/connection-event.ts';
import { type Clock, fromNow } from '../utils/clock.ts';
import { countChange } from './connection-counts.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { NO_LEASE, NO_TOKENS, toConnection } from './oauth-token-row.ts';

/** Anyone can request a verification. */
const VERIFICATION_INTERVAL_MS = 60_000;

interface Dependencies {
  session: Session;
  clock: Clock;
  events: ConnectionEventDatastore;
}

/** `oauth_tokens` for the worker: the rows that are due for maintenance. */
export class MaintenanceDatastore {
  private readonly session: Session;
  private readonly clock: Clock;
  private readonly events: ConnectionEventDatastore;

  constructor({ session, clock, events }: Dependencies) {
    this.session = session;
    this.clock = clock;
    this.events = events;
  }

  /** Returns the connections that are due, the earliest first. Reads no others. */
  async listDue(systems: AccountingSystem[], limit: number): Promise<Connection[]> {
    const rows = await this.session.query((db) =>
      db('oauth_tokens')
        .where('next_maintenance_at', '<=', this.clock.now())
        .whereIn('accounting_system', systems)
        .orderBy('next_maintenance_at')
        .limit(limit)
        .select('*'),
    );
    return rows.map(toConnection);
  }

  /** Acquires the right to maintain a connection until an instant. Returns undefined if another worker has it. */
  async claim<T extends Connection>(connection: T, until: Date): Promise<T | undefined> {
    const isClaimed = await this.update(connection, { next_maintenance_at: until });
    return isClaimed ? { ...connection, maintenance: { ...connection.maintenance, nextAt: until } } : undefined;
  }

  /** Releases a claim. Does nothing if the connection changed meanwhile: that change scheduled it. */
  async schedule(connection: Connection, nextMaintenanceAt: Date): Promise<void> {
    await this.update(connection, { next_maintenance_at: nextMaintenanceAt });
  }

  /** Records that the provider confirmed the company. @param name kept as it is if absent */
  async saveCompany(connection: Connection, name: string | undefined): Promise<void> {
    const now = this.clock.now();
    await this.update(connection, {
      last_verified_at: now,
      company_read_at: now,
      ...(name === undefined ? {} : { company_name: name }),
    });
  }

  /** Records that the provider denied access to the company, and releases the claim. */
  async recordDenial(connection: Connection, nextMaintenanceAt: Date): Promise<void> {
    await this.update(connection, { company_read_at: this.clock.now(), next_maintenance_at: nextMaintenanceAt });
  }

  /** Makes a company's active connections due for verification, each no more than once a minute. */
  async requestVerification(system: AccountingSystem, realmId: RealmId): Promise<void> {
    const now = this.clock.now();
    await this.session.query((db) =>
      db('oauth_tokens')
        .where({ realm_id: realmId, accounting_system: system, is_active: 1 })
        .where((last) =>
          last
            .whereNull('verification_requested_at')
            .orWhere('verification_requested_at', '<=', fromNow(this.clock, -VERIFICATION_INTERVAL_MS)),
        )
        .update({ verification_requested_at: now, next_maintenance_at: now }),
    );
  }

  /** Ends a connection whose company the provider never confirmed and now denies. Returns the event. */
  async endUnproven(connection: ActiveConnection, intuitTid: string | undefined): Promise<ConnectionEvent | undefined> {
    const { tokenId, organizationId, system, realmId, generation } = connection;
    const now = this.clock.now();
    return this.session.transaction(async (trx) => {
      const changed = await trx('oauth_tokens')
        .where({ token_id: tokenId, generation, is_active: 1 })
        .whereNull('last_verified_at')
        .update({
          ...NO_LEASE,
          ...NO_TOKENS,
          is_active: 0,
          deactivated_at: now,
          deactivation_reason: 'disconnected',
          generation: generation + 1,
          next_maintenance_at: null,
          updated_at: now,
        });
      if (changed === 0) return undefined;
      await countChange({ trx, clock: this.clock, from: 'active', to: undefined });
      const event = { organizationId, system, realmId, type: 'company_mismatch', actor: SERVICE, intuitTid } as const;
      await this.events.append(trx, event);
      return event;
    });
  }

  /** Records, once, that the user was notified that the authorization ends. Returns the event. */
  async recordExpiryNotice(connection: ActiveConnection, reason: string): Promise<ConnectionEvent | undefined> {
    const { tokenId, organizationId, system, realmId, maintenance } = connection;
    return this.session.transaction(async (trx) => {
      const changed = await trx('oauth_tokens')
        .where({ token_id: tokenId, is_active: 1, expiry_notified_at: maintenance.expiryNotifiedAt ?? null })
        .update({ expiry_notified_at: this.clock.now() });
      if (changed === 0) return undefined;
      const event = { organizationId, system, realmId, type: 'expiring', reason, actor: SERVICE } as const;
      await this.events.append(trx, event);
      return event;
    });
  }

  /** Records that a lost connection was retried and rejected. */
  async recordRecoveryAttempt(
    connection: LostConnection,
    { recoveryAttempts, nextMaintenanceAt }: { recoveryAttempts: number; nextMaintenanceAt: Date },
  ): Promise<void> {
    await this.update(connection, { recovery_attempts: recoveryAttempts, next_maintenance_at: nextMaintenanceAt });
  }

  /** Deletes a lost connection's ciphertext. It remains lost. */
  async purgeTokens(connection: Connection): Promise<void> {
    await this.update(connection, {
      ...NO_TOKENS,
      generation: connection.generation + 1,
      next_maintenance_at: null,
    });
  }

  /** Writes while the claim holds. */
  private async update({ tokenId, maintenance }: Connection, changes: OAuthTokenUpdate): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('oauth_tokens')
        .where({ token_id: tokenId, next_maintenance_at: maintenance.nextAt ?? null })
        .update({ ...changes, updated_at: this.clock.now() }),
    );
    return changed > 0;
  }
}
