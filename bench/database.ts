import { randomAccessToken, randomRefreshToken } from '../dev/intuit-simulator/random-values.ts';
import { loadDatabaseConfig } from '../src/config/config.ts';
import { TokenCipher, type TokenOwner } from '../src/crypto/token-cipher.ts';
import { toTokenColumns } from '../src/datastores/oauth-token-row.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { openKnex } from '../src/db/session.ts';
import type { NewTokenSet, OrganizationId, PlainToken, RealmId } from '../src/models/connection.ts';
import { createOnServer, type TestDatabase, withConnection } from '../test/support/own-database.ts';

/** A migrated database in which the organizations `org-1`, `org-2` … are connected. */
export interface FilledDatabase extends TestDatabase {
  /** A random sample of the organizations, in random order. Only their tokens can be decrypted. */
  organizations: string[];
}

const SAMPLE_SIZE = 2_000;
const BATCH = 50_000;
const DAY_MS = 86_400_000;

const INSERT = `
  INSERT INTO oauth_tokens (token_id, organization_id, accounting_system, realm_id, company_name, access_token, refresh_token,
    token_digest, access_token_expires_at, refresh_token_expires_at, last_verified_at, company_read_at, next_maintenance_at,
    created_at, updated_at)
  WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
  SELECT UUID(), CONCAT('org-', n), 'quickbooks', 9341452000000000 + n, CONCAT('Company ', n), ?, ?, ?,
    UTC_TIMESTAMP(3) + INTERVAL 1 DAY, UTC_TIMESTAMP(3) + INTERVAL 100 DAY, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3),
    UTC_TIMESTAMP(3) + INTERVAL 86 DAY, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)
  FROM numbers`;

/** Creates a database with this many proven connections. Their tokens are valid for a day, so that no maintenance is due. */
export async function createFilled(serverUrl: string, rows: number, encryptionKey: string): Promise<FilledDatabase> {
  const database = await createOnServer(serverUrl);
  const knex = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
  const cipher = new TokenCipher([encryptionKey]);
  const organizations = Array.from({ length: SAMPLE_SIZE }, () => `org-${1 + Math.floor(Math.random() * rows)}`);
  try {
    await migrateUp(knex);
    await insertRows(database.url, rows, cipher);
    await knex.transaction(async (trx) => {
      for (const owner of await trx('oauth_tokens')
        .whereIn('organization_id', organizations as OrganizationId[])
        .select()) {
        const { token_id: tokenId, organization_id: organizationId, realm_id: realmId } = owner;
        const tokens = cipher.encryptTokens({ tokenId, organizationId, realmId, system: 'quickbooks' }, newTokens());
        await trx('oauth_tokens').where({ token_id: tokenId }).update(toTokenColumns(tokens));
      }
    });
    return { ...database, organizations };
  } catch (error) {
    await database.drop();
    throw error;
  } finally {
    await knex.destroy();
  }
}

/** Inserts rows with the same ciphertexts, which is much faster than encrypting for each of them. */
async function insertRows(url: string, rows: number, cipher: TokenCipher): Promise<void> {
  const owner: TokenOwner = {
    tokenId: '',
    organizationId: '' as OrganizationId,
    system: 'quickbooks',
    realmId: '' as RealmId,
  };
  const { accessToken, refreshToken, digest } = cipher.encryptTokens(owner, newTokens());
  await withConnection(url, async (connection) => {
    await connection.query('SET SESSION cte_max_recursion_depth = ?', [BATCH]);
    await connection.query('SET SESSION sql_log_bin = 0').catch(() => undefined); // faster, if the user may do it
    for (let first = 1; first <= rows; first += BATCH) {
      const last = Math.min(first + BATCH - 1, rows);
      await connection.query(INSERT, [first, last, accessToken, refreshToken, digest]);
    }
    await connection.query('ANALYZE TABLE oauth_tokens');
  });
}

/** Tokens as long as Intuit's. */
function newTokens(): NewTokenSet {
  return {
    accessToken: randomAccessToken() as PlainToken,
    accessTokenExpiresAt: new Date(Date.now() + DAY_MS),
    refreshToken: randomRefreshToken() as PlainToken,
    refreshTokenExpiresAt: new Date(Date.now() + 100 * DAY_MS),
    isRefreshExpiryAssumed: false,
    authorizationExpiresAt: undefined,
    intuitTid: undefined,
  };
}
