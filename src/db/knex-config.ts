import type { Knex } from 'knex';
import type { DatabaseConfig, MysqlConfig } from '../config/database-url.ts';
import type { DatabaseClock } from './database-clock.ts';
import { LibsqlClient } from './libsql-client.ts';
import { migrationSource, migrationTemplate } from './migration-source.ts';
import { MysqlClient, type MysqlKnexConfig } from './mysql-client.ts';
import { connectionOptions } from './mysql-connection.ts';
import type { ServerWatch } from './server-watch.ts';

const ACQUIRE_TIMEOUT_MS = 3_000;
const BUSY_TIMEOUT_MS = 1_000; // the driver blocks the event loop meanwhile; sessions then retry
const POOL_SIZE = 10;
/**
 * A connection is not taken from the pool again once it is this old. After a failover behind the same host name, a demoted primary
 * rejects writes, but not reads: a process that writes nothing notices only on a new connection.
 */
const MAX_LIFETIME_MS = 30_000;
const LIFETIME_JITTER_MS = 5_000;

/** What distinguishes the service's own connections from those of migrations. */
interface KnexOptions {
  /** The time limit of every statement and, slightly shorter, of waiting for a lock; absent: none, as migrations need it. */
  statementTimeoutMs?: number | undefined;
  /** Whether statements see what was committed on any node of a cluster. */
  isCausal?: boolean;
  servers?: ServerWatch;
  /** Is set by the database's clock. */
  clock?: DatabaseClock | undefined;
}

/** Knex's settings, shared by the service, its commands and Knex's own command line. */
export function knexConfig(database: DatabaseConfig, options: KnexOptions = {}): Knex.Config {
  return {
    ...(database.client === 'mysql' ? mysqlConfig(database, options) : sqliteConfig(database.filename)),
    acquireConnectionTimeout: ACQUIRE_TIMEOUT_MS,
    log: SILENT,
    migrations: { migrationSource, extension: 'ts', stub: migrationTemplate },
  };
}

/** Knex would write plain text to stdout. Every failure is thrown as well, and reported by the caller. */
const SILENT = { warn() {}, error() {}, deprecate() {}, debug() {} };

function mysqlConfig(server: MysqlConfig, options: KnexOptions): MysqlKnexConfig {
  const { statementTimeoutMs, isCausal = true, servers, clock } = options;
  return {
    client: MysqlClient,
    connection: connectionOptions(server),
    pool: {
      min: 0,
      max: POOL_SIZE,
      maxConnectionLifetimeMillis: MAX_LIFETIME_MS,
      maxConnectionLifetimeJitterMillis: LIFETIME_JITTER_MS,
    },
    sessionUse: { isCausal, limitsLockWaits: statementTimeoutMs !== undefined },
    statementTimeoutMs,
    ...(servers ? { servers } : {}),
    ...(clock ? { clock } : {}),
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

function prepareSqlite(connection: { pragma(text: string): unknown }, done: (error?: Error) => void): void {
  connection.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = FULL'); // a rotated token lost in a power cut cannot be recovered
  done();
}
