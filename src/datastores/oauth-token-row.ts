import type { OAuthTokenRow, StoredInstant } from '../db/tables.ts';
import type { Ciphertext, Connection, LossReason, NewConnection, SealedTokens } from '../models/connection.ts';
import { nextCareOfActive } from '../models/maintenance.ts';

/** A row as it is read: with the database's word on whether its lease still runs. */
type ReadRow = OAuthTokenRow & { is_leased: 0 | 1 | null };

/** A lease that is left to run out: its holder is done, and nobody needs to wait for his answer. */
export const LEASE_RUNNING_OUT = { refresh_lease_owner: null };

/** No lease, and no refresh of unknown outcome. */
export const NO_LEASE = {
  refresh_lease_owner: null,
  refresh_lease_expires_at: null,
  refresh_started_at: null,
};

/** What a disconnected or replaced row keeps of its tokens. */
export const NO_CIPHERTEXT = { access_token: '' as Ciphertext, refresh_token: '' as Ciphertext };

/** A new connection's row. */
export function toRow(connection: NewConnection, now: Date): Partial<OAuthTokenRow> {
  return {
    token_id: connection.tokenId,
    organization_id: connection.organizationId,
    accounting_system: connection.system,
    realm_id: connection.realmId,
    company_name: connection.companyName ?? null,
    ...toTokenColumns(connection),
    next_care_at: nextCareOfActive(connection, false, now),
    created_at: now,
    updated_at: now,
  };
}

/** The columns that every token set changes. */
export function toTokenColumns(tokens: SealedTokens): Partial<OAuthTokenRow> {
  return {
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken,
    access_token_expires_at: tokens.accessTokenExpiresAt,
    refresh_token_expires_at: tokens.refreshTokenExpiresAt,
    refresh_token_hard_expires_at: tokens.refreshTokenHardExpiresAt ?? null,
    last_intuit_tid: tokens.intuitTid ?? null,
  };
}

/** A row as the service knows it. */
export function toConnection(row: ReadRow): Connection {
  return {
    tokenId: row.token_id,
    organizationId: row.organization_id,
    system: row.accounting_system,
    realmId: row.realm_id,
    companyName: row.company_name ?? undefined,
    accessToken: row.access_token,
    refreshToken: row.refresh_token,
    accessTokenExpiresAt: new Date(row.access_token_expires_at),
    refreshTokenExpiresAt: new Date(row.refresh_token_expires_at),
    refreshTokenHardExpiresAt: toInstant(row.refresh_token_hard_expires_at),
    isActive: row.is_active === 1,
    lossReason: row.is_active === 1 ? undefined : (row.deactivation_reason as LossReason),
    generation: row.generation,
    lastRefreshedAt: toInstant(row.last_refreshed_at),
    deactivatedAt: toInstant(row.deactivated_at),
    refresh: {
      lease: row.is_leased === 1 ? 'held' : row.refresh_lease_owner === null ? 'free' : 'abandoned',
      startedAt: toInstant(row.refresh_started_at),
      failures: row.refresh_failures,
      nextAttemptAt: toInstant(row.next_refresh_attempt_at),
      isFailing: row.is_refresh_failing === 1,
    },
    care: {
      nextAt: toInstant(row.next_care_at),
      recoveries: row.recoveries,
      isExpiringTold: row.is_expiring_told === 1,
    },
  };
}

function toInstant(stored: StoredInstant | null): Date | undefined {
  return stored === null ? undefined : new Date(stored);
}
