import type { Knex } from 'knex';
import type { DatabaseConfig } from '../config/environment-schema.ts';
import { LibsqlClient } from './libsql-client.ts';
import { migrationSource, migrationTemplate } from './migration-source.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const BUSY_TIMEOUT_MS = 1_000; // the driver blocks the event loop meanwhile; sessions then retry
const POOL_SIZE = 10;

/** Knex's settings, shared by the service, its commands and Knex's own command line. @param queryTimeoutMs none by default */
export function knexConfig(database: DatabaseConfig, queryTimeoutMs?: number): Knex.Config {
  return {
    ...(database.client === 'mysql' ? mysqlConfig(database.url, queryTimeoutMs) : sqliteConfig(database.filename)),
    acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
    log: SILENT,
    migrations: { migrationSource, extension: 'ts', stub: migrationTemplate },
  };
}

/** Knex would write plain text to stdout. Every failure is thrown as well, and reported by the caller. */
const SILENT = { warn() {}, error() {}, deprecate() {}, debug() {} };

function mysqlConfig(uri: string, queryTimeoutMs: number | undefined): Knex.Config {
  return {
    client: 'mysql2',
    connection: { uri, timezone: 'Z', charset: 'utf8mb4', connectTimeout: CONNECT_TIMEOUT_MS },
    pool: { min: 0, max: POOL_SIZE, afterCreate: prepareMysql(queryTimeoutMs) },
  };
}

function sqliteConfig(filename: string): Knex.Config {
  return {
    client: LibsqlClient,
    connection: { filename },
    useNullAsDefault: true,
    pool: { min: 1, max: 1, afterCreate: prepareSqlite },
  };
}

type Done = (error: { code?: string } | null, ...results: unknown[]) => void;
type Query = (options: object, values: unknown, done: Done) => unknown;

interface MysqlConnection {
  query: Query;
  destroy(): void;
}

/** In a local time zone, TIMESTAMP columns (Knex's migration_time) reject the hour that daylight saving time skips. */
function prepareMysql(queryTimeoutMs: number | undefined) {
  return (connection: MysqlConnection, done: Done): void => {
    if (queryTimeoutMs) limitQueries(connection, queryTimeoutMs);
    connection.query({ sql: "SET time_zone = '+00:00'" }, [], done);
  };
}

/**
 * Limits the time of everything sent on a connection, BEGIN and COMMIT included, and destroys the connection on a
 * timeout: one to a host that vanished would hang again.
 */
function limitQueries(connection: MysqlConnection, timeout: number): void {
  const query = connection.query.bind(connection);
  connection.query = (options, values, done) =>
    query({ timeout, ...options }, values, (error, ...results) => {
      if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') connection.destroy();
      done(error, ...results);
    });
}

function prepareSqlite(connection: { pragma(text: string): unknown }, done: (error?: Error) => void): void {
  connection.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = FULL'); // a rotated token lost in a power cut cannot be recovered
  done();
}
