import { setTimeout as delay } from 'node:timers/promises';
import knex, { type Knex } from 'knex';
import type { DatabaseConfig } from '../config/environment-schema.ts';
import { isAway, isDeadlock, isDuplicate, unavailable, withoutValues } from './database-errors.ts';
import { knexConfig } from './knex-config.ts';

const QUERY_TIMEOUT_MS = 5_000;
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
  readonly knex: Knex;
  private readonly dialect: DatabaseConfig['client'];

  constructor(knex: Knex, dialect: DatabaseConfig['client']) {
    this.knex = knex;
    this.dialect = dialect;
  }

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

/** Knex alone. @param queryTimeoutMs the time limit of every query; without it, as migrations need it, none */
export function openKnex(database: DatabaseConfig, queryTimeoutMs?: number): Knex {
  return knex(knexConfig(database, queryTimeoutMs));
}

function isConflict(error: unknown): boolean {
  return error instanceof ConflictError || isDuplicate(error) || isDeadlock(error);
}
