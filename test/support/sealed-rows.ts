import type { Knex } from 'knex';
import { loadConfig } from '../../src/config/config.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { rowOf } from './rows.ts';

/** Three keys: the newest encrypts, the old one is to go, and the stranger was never ours. */
export const [NEW_KEY, OLD_KEY, STRANGE_KEY] = Array.from({ length: 3 }, () => Fernet.generateKey()) as [
  string,
  string,
  string,
];

/** A row whose tokens one key wrote: `access-{id}` and `refresh-{id}`. */
export function sealedRow(tokenId: string, key: string, changes: Record<string, unknown> = {}) {
  const fernet = new Fernet([key]);
  return rowOf({
    token_id: tokenId,
    organization_id: `org-${tokenId}`,
    access_token: fernet.encrypt(`access-${tokenId}`),
    refresh_token: fernet.encrypt(`refresh-${tokenId}`),
    ...changes,
  });
}

/** The tokens of each row as these keys read them; of a row that they do not open, nothing. */
export async function openRows(knex: Knex, keys: string[]): Promise<Record<string, string[] | undefined>> {
  const fernet = new Fernet(keys);
  const rows = await knex('oauth_tokens').whereNot('refresh_token', '').orderBy('token_id');
  return Object.fromEntries(
    rows.map(({ token_id, access_token, refresh_token }) => {
      try {
        return [token_id, [fernet.decrypt(access_token), fernet.decrypt(refresh_token)]];
      } catch {
        return [token_id, undefined];
      }
    }),
  );
}

/** A migrated database. */
export async function openMigrated(databaseUrl: string): Promise<Knex> {
  const knex = openKnex(
    loadConfig({
      NODE_ENV: 'test',
      DATABASE_URL: databaseUrl,
      ENCRYPTION_KEY: NEW_KEY,
      OAUTH_STATE_SECRET: 'x'.repeat(32),
    }).database,
  );
  await migrateUp(knex);
  return knex;
}
