import type { Session } from '../db/session.ts';
import type { Connection } from '../models/connection.ts';
import { SERVICE } from '../models/connection-event.ts';
import { nextCareOfLost } from '../models/maintenance.ts';
import type { ConnectionEventDatastore } from './connection-event-datastore.ts';
import { NO_CIPHERTEXT, toConnection } from './oauth-token-row.ts';

/** `oauth_tokens` as the worker sees them: the rows that need something done, by the time at which they need it. */
export class CareDatastore {
  constructor(
    private readonly session: Session,
    private readonly events: ConnectionEventDatastore,
    private readonly now: () => Date,
  ) {}

  /** The connections that are due, the longest waiting first. Reads no others. */
  async listDue(most: number): Promise<Connection[]> {
    const rows = await this.session.query((db) =>
      db('oauth_tokens')
        .where('next_care_at', '<=', this.now())
        .orderBy('next_care_at')
        .limit(most)
        .select('*', this.session.isLeased()),
    );
    return rows.map(toConnection);
  }

  /** Takes the right to care for a connection until an instant. Undefined where somebody else has it. */
  async claim(connection: Connection, until: Date): Promise<Connection | undefined> {
    const isMine = await this.change(connection, { next_care_at: until });
    return isMine ? { ...connection, care: { ...connection.care, nextAt: until } } : undefined;
  }

  /** Ends a claim. False where the connection was changed meanwhile, and has its time from that. */
  async schedule(connection: Connection, nextAt: Date): Promise<boolean> {
    return this.change(connection, { next_care_at: nextAt });
  }

  async saveCompanyName(connection: Connection, companyName: string): Promise<boolean> {
    return this.change(connection, { company_name: companyName });
  }

  /** Tells, once, that the five-year end is near. */
  async tellExpiring({ tokenId, organizationId, system, realmId }: Connection): Promise<void> {
    await this.session.transaction(async (trx) => {
      const isFirst = await trx('oauth_tokens')
        .where({ token_id: tokenId, is_active: 1, is_expiring_told: 0 })
        .update({ is_expiring_told: 1 });
      if (isFirst > 0) {
        await this.events.append(trx, { organizationId, system, realmId, type: 'expiring', actor: SERVICE });
      }
    });
  }

  /** Notes that a lost connection was tried again in vain. */
  async failRecovery(connection: Connection): Promise<boolean> {
    const { lossReason, deactivatedAt, care } = connection;
    if (!lossReason || !deactivatedAt) return false;
    const recoveries = care.recoveries + 1;
    const nextAt = nextCareOfLost(lossReason, deactivatedAt, recoveries, this.now());
    return this.change(connection, { recoveries, next_care_at: nextAt });
  }

  /** Deletes a lost connection's ciphertext. It stays lost. */
  async forget(connection: Connection): Promise<boolean> {
    return this.change(connection, { ...NO_CIPHERTEXT, generation: connection.generation + 1, next_care_at: null });
  }

  /** Writes while the claim holds. */
  private async change({ tokenId, care }: Connection, changes: object): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('oauth_tokens')
        .where({ token_id: tokenId, next_care_at: care.nextAt ?? null })
        .update({ ...changes, updated_at: this.now() }),
    );
    return changed > 0;
  }
}
