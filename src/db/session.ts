import knex, { type Knex } from 'knex';
import type { DatabaseConfig } from '../config/database-url.ts';
import type { Clock } from '../utils/clock.ts';
import { DatabaseClock } from './database-clock.ts';
import { isDeadlock, isDuplicate, isReadOnly, isUnavailable, unavailable, withoutValues } from './database-errors.ts';
import { knexConfig } from './knex-config.ts';
import { ServerWatch } from './server-watch.ts';

const STATEMENT_TIMEOUT_MS = 5_000;
const ATTEMPTS = 15;
/** After a planned failover, each try opens a connection: to the new primary as soon as the host's name points to it. */
const READ_ONLY_ATTEMPTS = 3;
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
  /** Connections of their own for reads that decide nothing; by default the same. */
  reader?: Knex;
  dialect: DatabaseConfig['client'];
  clock: Clock;
  /** Follows the servers that connections reach; by default, nothing is ever noticed. */
  servers?: ServerWatch;
}

/**
 * The one way to the database: limits the time of every query, retries what lost against another transaction, and
 * converts an unavailable or unmigrated database into `service_unavailable`.
 */
export class Session {
  readonly knex: Knex;
  readonly reader: Knex;
  readonly dialect: DatabaseConfig['client'];
  readonly servers: ServerWatch;
  private readonly clock: Clock;

  constructor({ knex, reader = knex, dialect, clock, servers = new ServerWatch() }: Dependencies) {
    this.knex = knex;
    this.reader = reader;
    this.dialect = dialect;
    this.servers = servers;
    this.clock = clock;
  }

  /** Runs one statement, and again if it lost against another one. */
  async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.retryConflicts(() => statement(this.knex), isDeadlock);
  }

  /**
   * Reads without deciding anything: what one node of a cluster has, which may lag. Does not wait for connections that
   * writes use.
   */
  async read<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.retryConflicts(() => statement(this.reader), isDeadlock);
  }

  /** Runs a transaction, and again from its beginning if it lost against another one. */
  async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    return this.retryConflicts(() => this.knex.transaction(work), isConflict);
  }

  /**
   * Checks that a row which a transaction did not find is not only missing on this server: a primary that was demoted returns what
   * it has, but rejects every write. The transaction then runs again, on the new primary.
   * @param rows what was searched, with an `organization_id`
   */
  async checkAbsence(rows: Knex.QueryBuilder): Promise<void> {
    await rows.update({ organization_id: this.knex.ref('organization_id') });
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
    const pools = this.pools().map(({ client }) => client.pool);
    const sum = (count: (pool: { numUsed(): number; numFree(): number; numPendingAcquires(): number }) => number) =>
      pools.reduce((total, pool) => total + count(pool), 0);
    return {
      used: sum((pool) => pool.numUsed()),
      idle: sum((pool) => pool.numFree()),
      waiting: sum((pool) => pool.numPendingAcquires()),
    };
  }

  /** The pools of connections: one for SQLite, two for a server. */
  pools(): Knex[] {
    return [...new Set([this.knex, this.reader])];
  }

  async close(): Promise<void> {
    await Promise.all(this.pools().map((pool) => pool.destroy()));
  }

  private async retryConflicts<T>(work: () => PromiseLike<T>, isRetryable: (error: unknown) => boolean): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        const isRejected = isReadOnly(error) && attempt < READ_ONLY_ATTEMPTS;
        if (!isRetryable(error) && !isRejected) throw isUnavailable(error) ? unavailable(error) : withoutValues(error);
        if (attempt === ATTEMPTS) throw unavailable(error);
        await this.clock.sleep(this.clock.random() * MAX_RETRY_PAUSE_MS * attempt);
      }
    }
  }
}

/** A session on the configured database. Opens no connection until the first query. @param clock set by the database's, if it is a `DatabaseClock` */
export function openSession(database: DatabaseConfig, clock: Clock): Session {
  const servers = new ServerWatch();
  const shared = { servers, clock: clock instanceof DatabaseClock ? clock : undefined };
  const open = (isCausal: boolean) =>
    knex(knexConfig(database, { statementTimeoutMs: STATEMENT_TIMEOUT_MS, isCausal, ...shared }));
  const reader = database.client === 'mysql' ? { reader: open(false) } : {};
  return new Session({ knex: open(true), ...reader, dialect: database.client, clock, servers });
}

/** Knex alone, without limits of time: for migrations. */
export function openKnex(database: DatabaseConfig): Knex {
  return knex(knexConfig(database));
}

function isConflict(error: unknown): boolean {
  return error instanceof ConflictError || isDuplicate(error) || isDeadlock(error);
}
