import { NO_CIPHERTEXT, type OAuthTokenRow, type OAuthTokenUpdate, type StoredInstant } from '../db/tables.ts';
import type {
  Ciphertext,
  Connection,
  ConnectionKey,
  ConnectionStatus,
  EncryptedTokens,
  LossReason,
  NewConnection,
} from '../models/connection.ts';

/** No lease, and no refresh of unknown outcome. */
export const NO_LEASE = {
  refresh_lease_owner: null,
  refresh_takeover_owner: null,
  refresh_started_at: null,
} as const satisfies OAuthTokenUpdate;

/** What a disconnected, replaced or purged row keeps of its tokens. */
export const NO_TOKENS = {
  access_token: NO_CIPHERTEXT,
  refresh_token: NO_CIPHERTEXT,
  token_digest: null,
} as const satisfies OAuthTokenUpdate;

/** The condition for the organization's current row. */
export function currentOf({ organizationId, system }: ConnectionKey) {
  return { organization_id: organizationId, accounting_system: system, current_key: 1 } as const;
}

/** The row of a new connection. */
export function toRow(connection: NewConnection, nextMaintenanceAt: Date, now: Date) {
  return {
    token_id: connection.tokenId,
    organization_id: connection.organizationId,
    accounting_system: connection.system,
    realm_id: connection.realmId,
    company_name: connection.companyName ?? null,
    ...toTokenColumns(connection.tokens),
    last_verified_at: connection.lastVerifiedAt ?? null,
    company_read_at: connection.lastVerifiedAt ?? null,
    last_intuit_tid: connection.intuitTid ?? null,
    next_maintenance_at: nextMaintenanceAt,
    created_at: now,
    updated_at: now,
  };
}

/** The columns that every token set changes. */
export function toTokenColumns(tokens: EncryptedTokens) {
  return {
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken,
    token_digest: tokens.digest,
    access_token_expires_at: tokens.accessTokenExpiresAt,
    refresh_token_expires_at: tokens.refreshTokenExpiresAt,
    is_refresh_expiry_assumed: tokens.isRefreshExpiryAssumed ? 1 : 0,
    authorization_expires_at: tokens.authorizationExpiresAt ?? null,
  } as const satisfies OAuthTokenUpdate;
}

/** The columns that callers see: without the tokens, which are longer than all others together. */
export const STATUS_COLUMNS = [
  'organization_id',
  'accounting_system',
  'realm_id',
  'company_name',
  'is_active',
  'deactivation_reason',
  'access_token_expires_at',
  'refresh_token_expires_at',
  'authorization_expires_at',
  'last_refreshed_at',
  'last_verified_at',
] as const satisfies (keyof OAuthTokenRow)[];

type StatusRow = Pick<OAuthTokenRow, (typeof STATUS_COLUMNS)[number]>;

/** What callers see of a row. */
export function toConnectionStatus(row: StatusRow): ConnectionStatus {
  const seen = toSeenFields(row);
  if (row.is_active === 0) return { ...seen, state: 'lost', reason: row.deactivation_reason as LossReason };
  return { ...seen, state: 'active', tokens: toExpiries(row) };
}

/** A row as the service knows it. */
export function toConnection(row: OAuthTokenRow): Connection {
  const stored = {
    ...toSeenFields(row),
    tokenId: row.token_id,
    organizationId: row.organization_id,
    generation: row.generation,
    refresh: {
      owner: row.refresh_lease_owner ?? undefined,
      takeoverOwner: row.refresh_takeover_owner ?? undefined,
      startedAt: toInstant(row.refresh_started_at),
      failures: row.refresh_failures,
      isFailing: row.is_refresh_failing === 1,
    },
    maintenance: {
      nextAt: toInstant(row.next_maintenance_at),
      recoveryAttempts: row.recovery_attempts,
      expiryNotifiedAt: toInstant(row.expiry_notified_at),
      companyReadAt: toInstant(row.company_read_at),
      verificationRequestedAt: toInstant(row.verification_requested_at),
    },
  } as const;
  if (row.is_active === 1) return { ...stored, state: 'active', tokens: toTokens(row) };
  return {
    ...stored,
    state: 'lost',
    reason: row.deactivation_reason as LossReason,
    lostAt: new Date(row.deactivated_at ?? row.updated_at),
    tokens: row.refresh_token === NO_CIPHERTEXT ? undefined : toTokens(row),
  };
}

function toSeenFields(row: StatusRow) {
  return {
    system: row.accounting_system,
    realmId: row.realm_id,
    companyName: row.company_name ?? undefined,
    lastRefreshedAt: toInstant(row.last_refreshed_at),
    lastVerifiedAt: toInstant(row.last_verified_at),
  };
}

function toExpiries(row: StatusRow) {
  return {
    accessTokenExpiresAt: new Date(row.access_token_expires_at),
    refreshTokenExpiresAt: new Date(row.refresh_token_expires_at),
    authorizationExpiresAt: toInstant(row.authorization_expires_at),
  };
}

function toTokens(row: OAuthTokenRow): EncryptedTokens {
  return {
    ...toExpiries(row),
    accessToken: row.access_token as Ciphertext,
    refreshToken: row.refresh_token as Ciphertext,
    isRefreshExpiryAssumed: row.is_refresh_expiry_assumed === 1,
    digest: row.token_digest ?? '',
  };
}

function toInstant(stored: StoredInstant | null): Date | undefined {
  return stored === null ? undefined : new Date(stored);
}
