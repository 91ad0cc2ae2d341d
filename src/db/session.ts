import knex, { type Knex } from 'knex';
import type { DatabaseConfig } from '../config/environment-schema.ts';
import type { Clock } from '../utils/clock.ts';
import { isAway, isDeadlock, isDuplicate, unavailable, withoutValues } from './database-errors.ts';
import { knexConfig } from './knex-config.ts';

const QUERY_TIMEOUT_MS = 5_000;
const ATTEMPTS = 15;
const MAX_RETRY_PAUSE_MS = 20;

/** Another writer changed the row first. Thrown in a transaction, it makes the session run the transaction again. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';

  constructor() {
    super('the connection was changed by another writer');
  }
}

interface Dependencies {
  knex: Knex;
  dialect: DatabaseConfig['client'];
  clock: Clock;
}

/**
 * The one way to the database: limits the time of every query, retries what lost against another transaction, and
 * converts an unavailable or unmigrated database into `service_unavailable`.
 */
export class Session {
  readonly knex: Knex;
  private readonly dialect: DatabaseConfig['client'];
  private readonly clock: Clock;

  constructor({ knex, dialect, clock }: Dependencies) {
    this.knex = knex;
    this.dialect = dialect;
    this.clock = clock;
  }

  /** Runs one statement, and again if it lost against another one. */
  async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.retryConflicts(() => statement(this.knex), isDeadlock);
  }

  /** Runs a transaction, and again from its beginning if it lost against another one. */
  async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    const isolation = this.dialect === 'mysql' ? { isolationLevel: 'read committed' as const } : {};
    return this.retryConflicts(() => this.knex.transaction(work, isolation), isConflict);
  }

  /** The database's own time, which all replicas share. @param aheadMs milliseconds to add */
  databaseNow(aheadMs = 0): Knex.Raw {
    return this.dialect === 'mysql'
      ? this.knex.raw('UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND', [aheadMs * 1000])
      : this.knex.raw("CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?", [aheadMs]);
  }

  /** A computed column: milliseconds from the database's time until an instant, or null. */
  millisecondsUntil(column: string, as: string): Knex.Raw {
    const now = this.databaseNow();
    return this.dialect === 'mysql'
      ? this.knex.raw('TIMESTAMPDIFF(MICROSECOND, ?, ??) / 1000 AS ??', [now, column, as])
      : this.knex.raw('?? - ? AS ??', [column, now, as]);
  }

  /** How many connections to the database are used and idle, and how many queries wait for one. */
  pool(): { used: number; idle: number; waiting: number } {
    const { pool } = this.knex.client;
    return { used: pool.numUsed(), idle: pool.numFree(), waiting: pool.numPendingAcquires() };
  }

  async close(): Promise<void> {
    await this.knex.destroy();
  }

  private async retryConflicts<T>(work: () => PromiseLike<T>, isRetryable: (error: unknown) => boolean): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (isAway(error)) throw unavailable(error);
        if (!isRetryable(error)) throw withoutValues(error);
        if (attempt === ATTEMPTS) throw unavailable(error);
        await this.clock.sleep(this.clock.random() * MAX_RETRY_PAUSE_MS * attempt);
      }
    }
  }
}

/** A session on the configured database. Opens no connection until the first query. */
export function openSession(database: DatabaseConfig, clock: Clock): Session {
  return new Session({ knex: openKnex(database, QUERY_TIMEOUT_MS), dialect: database.client, clock });
}

/** Knex alone. @param queryTimeoutMs the time limit of every query; without it, as migrations need it, none */
export function openKnex(database: DatabaseConfig, queryTimeoutMs?: number): Knex {
  return knex(knexConfig(database, queryTimeoutMs));
}

function isConflict(error: unknown): boolean {
  return error instanceof ConflictError || isDuplicate(error) || isDeadlock(error);
}
