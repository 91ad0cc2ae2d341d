import { randomUUID } from 'node:crypto';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import type { Ciphertext } from '../../src/models/connection.ts';

/** An active row, not of the datastore's making. */
export function rowOf(changes: Record<string, unknown> = {}): Partial<OAuthTokenRow> {
  const later = new Date('2026-02-10T15:00:00.000Z');
  return {
    token_id: randomUUID(),
    organization_id: 'acme',
    accounting_system: 'quickbooks',
    realm_id: '1',
    access_token: 'sealed access token' as Ciphertext,
    refresh_token: 'sealed refresh token' as Ciphertext,
    access_token_expires_at: later,
    refresh_token_expires_at: later,
    is_active: 1,
    created_at: later,
    updated_at: later,
    ...changes,
  };
}
