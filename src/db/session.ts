import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import knex, { type Knex } from 'knex';
import type { DatabaseConfig } from '../environment-schema.ts';
import { isAway, isDeadlock, isDuplicate, unavailable, withoutValues } from './database-errors.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 5_000;
const POOL_SIZE = 10;
const ATTEMPTS = 15;

/** Another writer was quicker. Thrown in a transaction, it runs the transaction again on what is there now. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

/**
 * The one way to the database: bounds every query, repeats a transaction that lost against another one, and turns a
 * database that is away, or not migrated, into `service_unavailable`.
 */
export class Session {
  constructor(
    readonly knex: Knex,
    private readonly dialect: DatabaseConfig['client'],
  ) {}

  /** Runs one statement, again where it lost against another one. */
  async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.persist(() => statement(this.knex), isDeadlock);
  }

  /** Runs a transaction, again from its beginning where it lost against another one. */
  async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    const isolation = this.dialect === 'mysql' ? { isolationLevel: 'read committed' as const } : {};
    return this.persist(() => this.knex.transaction(work, isolation), isConflict);
  }

  /** The database's own clock, a number of milliseconds ahead of it: replicas' clocks may differ, this one does not. */
  clock(aheadMs = 0): Knex.Raw {
    return this.dialect === 'mysql'
      ? this.knex.raw('UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND', [aheadMs * 1000])
      : this.knex.raw("CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?", [aheadMs]);
  }

  /** The column `is_leased`: whether a row's lease still runs. */
  isLeased(): Knex.Raw {
    return this.knex.raw('refresh_lease_expires_at > ? AS is_leased', [this.clock()]);
  }

  /** How the connections to the database are used just now. */
  pool(): { used: number; idle: number; waiting: number } {
    const { pool } = this.knex.client;
    return { used: pool.numUsed(), idle: pool.numFree(), waiting: pool.numPendingAcquires() };
  }

  async close(): Promise<void> {
    await this.knex.destroy();
  }

  private async persist<T>(work: () => PromiseLike<T>, isLostRace: (error: unknown) => boolean): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (isAway(error)) throw unavailable(error);
        if (!isLostRace(error)) throw withoutValues(error);
        if (attempt === ATTEMPTS) throw unavailable(error);
        await delay(Math.random() * 20 * attempt);
      }
    }
  }
}

/** A session on the configured database. Opens no connection until the first query. */
export function openSession(database: DatabaseConfig): Session {
  return new Session(openKnex(database, QUERY_TIMEOUT_MS), database.client);
}

/** Knex alone. @param queryTimeoutMs the longest that a query may take; without it, as migrations need it, any time */
export function openKnex(database: DatabaseConfig, queryTimeoutMs?: number): Knex {
  if (database.client === 'mysql') {
    return knex({
      client: 'mysql2',
      connection: { uri: database.url, timezone: 'Z', charset: 'utf8mb4', connectTimeout: CONNECT_TIMEOUT_MS },
      pool: { min: 0, max: POOL_SIZE, ...(queryTimeoutMs ? { afterCreate: boundQueries(queryTimeoutMs) } : {}) },
      acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
      log: SILENT,
    });
  }
  mkdirSync(dirname(database.filename), { recursive: true });
  return knex({
    client: 'better-sqlite3',
    connection: { filename: database.filename },
    useNullAsDefault: true,
    pool: { min: 1, max: 1, afterCreate: prepareSqlite },
    acquireConnectionTimeout: CONNECT_TIMEOUT_MS,
    log: SILENT,
  });
}

/** Knex would write plain text to stdout. What went wrong is thrown as well, and told from there. */
const SILENT = { warn() {}, error() {}, deprecate() {}, debug() {} };

type Done = (error: { code?: string } | null, ...results: unknown[]) => void;
type AnswerTo = (options: object, values: unknown, done: Done) => unknown;

/**
 * Bounds everything a connection is asked, BEGIN and COMMIT too, and ends the connection where it takes too long: one to
 * a host that vanished would hang again.
 */
function boundQueries(timeout: number) {
  return (connection: { query: AnswerTo; destroy(): void }, done: () => void): void => {
    const query = connection.query.bind(connection);
    connection.query = (options, values, answered) =>
      query({ timeout, ...options }, values, (error, ...results) => {
        if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT') connection.destroy();
        answered(error, ...results);
      });
    done();
  };
}

function prepareSqlite(connection: { pragma(text: string): void }, done: (error?: Error) => void): void {
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = FULL'); // a rotated token that is lost in a power cut is lost for good
  done();
}

function isConflict(error: unknown): boolean {
  return error instanceof ConflictError || isDuplicate(error) || isDeadlock(error);
}
