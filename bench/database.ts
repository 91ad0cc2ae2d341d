import mysql from 'mysql2/promise';
import { randomAccessToken, randomRefreshToken } from '../dev/intuit-simulator/random-values.ts';
import type { Fernet } from '../src/crypto/fernet.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { openKnex } from '../src/db/session.ts';
import { createOnServer } from '../test/support/own-database.ts';

/** A database of the benchmark's own, migrated, with this many organizations connected: `org-1`, `org-2` … */
export interface FilledDatabase {
  url: string;
  rows: number;
  drop(): Promise<void>;
}

const USUAL_SERVER = 'mysql://root@127.0.0.1:3307/test';
const BATCH = 50_000;

const INSERT = `
  INSERT INTO oauth_tokens (token_id, organization_id, accounting_system, realm_id, company_name, access_token, refresh_token,
    access_token_expires_at, refresh_token_expires_at, next_care_at, created_at, updated_at)
  WITH RECURSIVE numbers (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
  SELECT UUID(), CONCAT('org-', n), 'quickbooks', 9341452000000000 + n, CONCAT('Company ', n), ?, ?,
    UTC_TIMESTAMP(3) + INTERVAL 1 DAY, UTC_TIMESTAMP(3) + INTERVAL 100 DAY, UTC_TIMESTAMP(3) + INTERVAL 86 DAY,
    UTC_TIMESTAMP(3), UTC_TIMESTAMP(3)
  FROM numbers`;

/** The MySQL server to use, and its version. @throws Error that says what to do where none answers */
export async function findServer(): Promise<{ url: string; version: string }> {
  const url = process.env['BENCH_DATABASE_URL'] ?? process.env['TEST_MYSQL_URL'] ?? USUAL_SERVER;
  try {
    const [[row]] = await withConnection(url, (connection) => connection.query<Row[]>('SELECT VERSION() AS version'));
    return { url, version: row?.['version'] };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`No MySQL at ${new URL(url).host}: ${code ?? message}. Set BENCH_DATABASE_URL to one.`);
  }
}

type Row = mysql.RowDataPacket;

/** Makes a database with rows in it. Their tokens are valid for a day, so that nothing of them is due meanwhile. */
export async function createFilled(serverUrl: string, rows: number, fernet: Fernet): Promise<FilledDatabase> {
  const { url, drop } = await createOnServer(serverUrl);
  try {
    await migrate(url);
    await withConnection(url, (connection) => fill(connection, rows, fernet));
  } catch (error) {
    await drop();
    throw error;
  }
  return { url, rows, drop };
}

async function migrate(url: string): Promise<void> {
  const knex = openKnex({ client: 'mysql', url });
  try {
    await migrateUp(knex);
  } finally {
    await knex.destroy();
  }
}

async function fill(connection: mysql.Connection, rows: number, fernet: Fernet): Promise<void> {
  const tokens = [fernet.encrypt(randomAccessToken()), fernet.encrypt(randomRefreshToken())];
  await connection.query('SET SESSION cte_max_recursion_depth = ?', [BATCH]);
  await connection.query('SET SESSION sql_log_bin = 0').catch(() => undefined); // quicker, where the user may do so
  for (let first = 1; first <= rows; first += BATCH) {
    await connection.query(INSERT, [first, Math.min(first + BATCH - 1, rows), ...tokens]);
  }
  await connection.query('ANALYZE TABLE oauth_tokens');
}

async function withConnection<T>(uri: string, use: (connection: mysql.Connection) => Promise<T>): Promise<T> {
  const connection = await mysql.createConnection({ uri, connectTimeout: 3_000 });
  try {
    return await use(connection);
  } finally {
    await connection.end();
  }
}
