import type { PendingGrantRow, StoredInstant } from '../db/tables.ts';
import type { PendingGrant } from '../models/pending-grant.ts';
import { toTokenColumns } from './oauth-token-row.ts';

export function toGrantRow(grant: PendingGrant): PendingGrantRow {
  const { token_digest, ...tokens } = toTokenColumns(grant.tokens);
  return {
    token_id: grant.tokenId,
    organization_id: grant.organizationId,
    accounting_system: grant.system,
    realm_id: grant.realmId,
    ...tokens,
    token_digest,
    intuit_tid: grant.intuitTid ?? null,
    actor: grant.actor,
    state_id: grant.stateId,
    pinned_realm_id: grant.pinnedRealmId ?? null,
    link_id: grant.link?.id ?? null,
    link_expires_at: grant.link?.expiresAt ?? null,
    phase: grant.phase,
    company_name: grant.companyName ?? null,
    verified_at: grant.verifiedAt ?? null,
    confirmable_until: grant.confirmableUntil ?? null,
    next_attempt_at: grant.nextAttemptAt,
    created_at: grant.createdAt,
  };
}

export function toGrant(row: PendingGrantRow): PendingGrant {
  const linkExpiresAt = toInstant(row.link_expires_at);
  return {
    tokenId: row.token_id,
    organizationId: row.organization_id,
    system: row.accounting_system,
    realmId: row.realm_id,
    tokens: {
      accessToken: row.access_token,
      accessTokenExpiresAt: new Date(row.access_token_expires_at),
      refreshToken: row.refresh_token,
      refreshTokenExpiresAt: new Date(row.refresh_token_expires_at),
      isRefreshExpiryAssumed: row.is_refresh_expiry_assumed === 1,
      authorizationExpiresAt: toInstant(row.authorization_expires_at),
      digest: row.token_digest,
    },
    intuitTid: row.intuit_tid ?? undefined,
    actor: row.actor,
    stateId: row.state_id,
    pinnedRealmId: row.pinned_realm_id ?? undefined,
    link: row.link_id !== null && linkExpiresAt ? { id: row.link_id, expiresAt: linkExpiresAt } : undefined,
    phase: row.phase,
    companyName: row.company_name ?? undefined,
    verifiedAt: toInstant(row.verified_at),
    confirmableUntil: toInstant(row.confirmable_until),
    nextAttemptAt: new Date(row.next_attempt_at),
    createdAt: new Date(row.created_at),
  };
}

function toInstant(stored: StoredInstant | null): Date | undefined {
  return stored === null ? undefined : new Date(stored);
}
