import { randomUUID } from 'node:crypto';
import type { GeneratedColumn, OAuthTokenRow } from '../../src/db/tables.ts';

/** Columns of `oauth_tokens`; their values may be of any kind. */
export type Columns = Partial<Record<keyof OAuthTokenRow, unknown>>;

/** A row of `oauth_tokens` that the datastore did not write: active, never due, with no ciphertext that a key can decrypt. */
export function rowOf(changes: Columns = {}): Omit<OAuthTokenRow, GeneratedColumn> {
  const later = new Date('2026-02-10T15:00:00.000Z');
  const row: Columns = {
    token_id: randomUUID(),
    organization_id: 'acme',
    accounting_system: 'quickbooks',
    realm_id: '1',
    company_name: null,
    access_token: 'the access token’s ciphertext',
    refresh_token: 'the refresh token’s ciphertext',
    token_digest: null,
    access_token_expires_at: later,
    refresh_token_expires_at: later,
    is_refresh_expiry_assumed: 0,
    authorization_expires_at: null,
    is_active: 1,
    last_verified_at: null,
    last_intuit_tid: null,
    next_maintenance_at: null,
    created_at: later,
    updated_at: later,
    ...changes,
  };
  return row as Omit<OAuthTokenRow, GeneratedColumn>;
}

/** A row's columns without those that the database generates, so that it can be written again. */
export function written({ current_key, authorization_expires_day, ...row }: OAuthTokenRow) {
  return row satisfies Omit<OAuthTokenRow, GeneratedColumn>;
}
