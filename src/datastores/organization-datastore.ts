import type { Session } from '../db/session.ts';
import type { AccountingSystem, OrganizationId, RealmId } from '../models/connection.ts';
import type { PendingGrant } from '../models/pending-grant.ts';
import { toGrant } from './pending-grant-row.ts';

/** A company that one of the organization's rows names. */
export interface UsedCompany {
  system: AccountingSystem;
  realmId: RealmId;
}

/** How many rows were deleted. */
export interface ErasedRows {
  connections: number;
  events: number;
}

/** The tables whose rows of an organization are deleted. Those of `pending_revocations` are revoked first. */
const TABLES = ['oauth_tokens', 'pending_grants', 'connection_events', 'webhook_queues'] as const;

/** Everything that the database has about one organization. */
export class OrganizationDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Returns the systems that the organization has a current connection to, active or lost. */
  async listConnectedSystems(organizationId: OrganizationId): Promise<AccountingSystem[]> {
    return this.session.query((db) =>
      db('oauth_tokens')
        .where({ organization_id: organizationId, current_key: 1 })
        .orderBy('accounting_system')
        .pluck('accounting_system'),
    );
  }

  /** Returns the grants that are not connections yet. */
  async listPendingGrants(organizationId: OrganizationId): Promise<PendingGrant[]> {
    const rows = await this.session.query((db) => db('pending_grants').where('organization_id', organizationId));
    return rows.map(toGrant);
  }

  /** Returns the companies of all connections that the organization ever had, and of the grants that became none; some twice. */
  async listCompanies(organizationId: OrganizationId): Promise<UsedCompany[]> {
    const rows = { organization_id: organizationId };
    const connections = await this.session.query((db) =>
      db('oauth_tokens').where(rows).distinct('accounting_system', 'realm_id'),
    );
    const events = await this.session.query((db) =>
      db('connection_events').where(rows).distinct('accounting_system', 'realm_id'),
    );
    return [...connections, ...events].flatMap(({ accounting_system: system, realm_id: realmId }) =>
      realmId === null ? [] : [{ system, realmId }],
    );
  }

  /** Deletes every row and event. Returns undefined, and deletes nothing, if the organization has a connection or a grant. */
  async erase(organizationId: OrganizationId): Promise<ErasedRows | undefined> {
    const rows = { organization_id: organizationId };
    return this.session.transaction(async (trx) => {
      const connection = await trx('oauth_tokens')
        .where({ ...rows, current_key: 1 })
        .first('token_id');
      const grant = await trx('pending_grants').where(rows).first('token_id');
      if (connection || grant) return undefined;
      const deleted: Partial<Record<(typeof TABLES)[number], number>> = {};
      for (const table of TABLES) deleted[table] = await trx<{ organization_id: string }>(table).where(rows).delete();
      return { connections: deleted.oauth_tokens ?? 0, events: deleted.connection_events ?? 0 };
    });
  }
}
