import type { Knex } from 'knex';
import { Fernet } from '../../src/crypto/fernet.ts';
import { RowDigest } from '../../src/crypto/row-digest.ts';
import { TokenCipher } from '../../src/crypto/token-cipher.ts';
import type { GeneratedColumn, OAuthTokenRow } from '../../src/db/tables.ts';
import type { Ciphertext } from '../../src/models/connection.ts';
import { type Columns, rowOf } from './rows.ts';

/** The key that encrypts, the one that it replaces, and one that the service never had. */
export const NEW_KEY = Fernet.generateKey();
export const OLD_KEY = Fernet.generateKey();
export const UNKNOWN_KEY = Fernet.generateKey();

/** A row that was written with one key, bound to what it contains. Its tokens are `access-{id}` and `refresh-{id}`. */
export function encryptedRow(
  tokenId: string,
  key: string,
  changes: Columns = {},
): Omit<OAuthTokenRow, GeneratedColumn> {
  const fernet = new Fernet([key]);
  const row = rowOf({
    token_id: tokenId,
    organization_id: `org-${tokenId}`,
    access_token: fernet.encrypt(`access-${tokenId}`),
    refresh_token: fernet.encrypt(`refresh-${tokenId}`),
    ...changes,
  });
  const { token_id, organization_id, accounting_system, realm_id, access_token, refresh_token } = row;
  const bound = [token_id, organization_id, accounting_system, realm_id, access_token, refresh_token];
  return { ...row, token_digest: new RowDigest([key]).sign(bound), ...changes } as typeof row;
}

/** Both tokens of each row with ciphertext, by its ID; undefined if these keys cannot verify and decrypt them. */
export async function decryptRows(knex: Knex, keys: string[]): Promise<Record<string, string[] | undefined>> {
  const cipher = new TokenCipher(keys);
  const rows = await knex('oauth_tokens').whereNot('refresh_token', '').orderBy('token_id');
  return Object.fromEntries(rows.map((row) => [row.token_id, decryptRow(cipher, row)]));
}

function decryptRow(cipher: TokenCipher, row: OAuthTokenRow): string[] | undefined {
  const { token_id: tokenId, organization_id: organizationId, accounting_system: system, realm_id: realmId } = row;
  const owner = { tokenId, organizationId, system, realmId };
  const tokens = {
    accessToken: row.access_token as Ciphertext,
    refreshToken: row.refresh_token as Ciphertext,
    digest: row.token_digest ?? '',
  };
  try {
    return [cipher.decryptAccessToken(owner, tokens), cipher.decryptRefreshToken(owner, tokens)];
  } catch {
    return undefined;
  }
}
