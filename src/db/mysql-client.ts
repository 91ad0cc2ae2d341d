import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { Knex } from 'knex';
import Mysql2Client from 'knex/lib/dialects/mysql2/index.js';
import type { Connection } from 'mysql2';
import { AbandonedStatements } from './abandoned-statements.ts';
import type { DatabaseClock } from './database-clock.ts';
import { ConnectError, isNodeUnavailable } from './database-errors.ts';
import { identifyServer } from './server-identity.ts';
import type { ServerWatch } from './server-watch.ts';
import { pinSettings, type Run, type SessionUse } from './session-settings.ts';

/** Knex's settings, and how its connections are used. */
export interface MysqlKnexConfig extends Knex.Config {
  sessionUse: SessionUse;
  /** A connection on which nothing arrives for this time during a statement is closed; absent: no limit. */
  statementTimeoutMs: number | undefined;
  /** Is notified of the servers that connections reach; absent for migrations. */
  servers?: ServerWatch;
  /** Is set by the clock of each server that a connection reaches. */
  clock?: DatabaseClock;
}

/** A connection of the pool. */
interface PooledConnection extends Connection {
  stream: Socket;
  /** The server's ID of the connection. */
  threadId: number;
  /** Why it must not be used again. */
  __knex__disposed?: unknown;
  epoch: Epoch;
  abandoned: AbandonedStatements;
  /** Identifies the server that it reached; absent for migrations. */
  server?: string;
}

/** The time until a server reports that it is not, or no longer, the one to use. Ends for all connections opened in it. */
interface Epoch {
  isOver: boolean;
}

interface Statement {
  sql: string;
  bindings?: unknown[];
  options?: object;
  response?: unknown;
}

type Done = (error: Error | null, rows: unknown, fields: unknown) => void;

const TIMEOUT = 'PROTOCOL_SEQUENCE_TIMEOUT';
/** A failure of these leaves it unknown whether a transaction is open. */
const TRANSACTION_CONTROL = /^(BEGIN|COMMIT|ROLLBACK|START TRANSACTION|SET TRANSACTION)\b/i;
const CONNECT_STATEMENT_TIMEOUT_MS = 3_000;

/**
 * Knex's dialect for mysql2, with real prepared statements, pinned session settings, and no connection in the pool whose
 * transaction or server is in doubt.
 */
export class MysqlClient extends Mysql2Client {
  private epoch: Epoch = { isOver: false };
  private readonly abandoned = new AbandonedStatements();

  /** Opens a connection and pins its settings. @throws ConnectError */
  override async acquireRawConnection(): Promise<Connection> {
    if (this.epoch.isOver) this.epoch = { isOver: false };
    const connection = this.driver.createConnection(this.connectionSettings) as PooledConnection;
    connection.epoch = this.epoch;
    connection.abandoned = this.abandoned; // a transaction has a client of its own, without this one's fields
    connection.on('error', (error) => {
      connection.__knex__disposed = error;
      this.settings.servers?.disconnected();
    });
    try {
      await promisify(connection.connect.bind(connection))();
      await this.prepare(connection);
      return connection;
    } catch (error) {
      close(connection, error); // otherwise its socket would stay open until the server closes it
      throw new ConnectError(error);
    }
  }

  override async validateConnection(connection: Connection): Promise<boolean> {
    const { epoch, server } = connection as PooledConnection;
    const isPrevious = server !== undefined && server !== this.settings.servers?.server; // the one before a failover
    return !epoch.isOver && !isPrevious && super.validateConnection(connection);
  }

  override async _query(connection: Connection, query: object): Promise<unknown> {
    const asked = query as Statement;
    const pooled = connection as PooledConnection;
    if (pooled.__knex__disposed) throw pooled.__knex__disposed;
    try {
      asked.response = await send(pooled, asked, this.settings.statementTimeoutMs);
      return asked;
    } catch (error) {
      const { code, fatal } = error as { code?: string; fatal?: boolean };
      if (code === TIMEOUT) pooled.abandoned.add(pooled.threadId);
      if (isNodeUnavailable(error)) pooled.epoch.isOver = true;
      if (fatal || isNodeUnavailable(error) || TRANSACTION_CONTROL.test(asked.sql)) {
        close(pooled, error);
        this.settings.servers?.disconnected();
      }
      throw error;
    }
  }

  private get settings(): MysqlKnexConfig {
    return this.config as MysqlKnexConfig;
  }

  /** Pins the connection's settings, and records which server it reached. */
  private async prepare(connection: PooledConnection): Promise<void> {
    const run: Run = async (sql) => {
      const [rows] = await send(connection, { sql }, CONNECT_STATEMENT_TIMEOUT_MS);
      return rows as Record<string, unknown>[];
    };
    const { sessionUse, servers, clock } = this.settings;
    await this.abandoned.check(run);
    await pinSettings(run, sessionUse);
    clock?.synchronize(await readClock(run));
    if (!servers) return;
    connection.server = await identifyServer(run);
    servers.reached(connection.server);
  }
}

/** The server's clock, in milliseconds since 1970. */
async function readClock(run: Run): Promise<number> {
  const [row] = await run('SELECT UNIX_TIMESTAMP(NOW(3)) AS seconds');
  return Number(row?.['seconds']) * 1000;
}

/** Values are sent apart from the text: no setting of the server decides where one of them ends. */
async function send(connection: PooledConnection, statement: Statement, timeoutMs = 0): Promise<[unknown, unknown]> {
  const { sql, bindings = [], options } = statement;
  const { stream } = connection;
  const onTimeout = () => stream.destroy(timeoutError());
  stream.setTimeout(timeoutMs, onTimeout);
  try {
    return await new Promise((resolve, reject) => {
      const done: Done = (error, rows, fields) => (error ? reject(error) : resolve([rows, fields]));
      if (bindings.length > 0) connection.execute({ sql, values: bindings as [], ...options }, done);
      else connection.query({ sql, ...options }, done);
    });
  } finally {
    stream.setTimeout(0).off('timeout', onTimeout);
  }
}

/** As mysql2 reports its own time limit, which does not include the preparation of a statement. */
function timeoutError(): Error {
  return Object.assign(new Error('the server did not respond in time'), {
    code: TIMEOUT,
    fatal: true,
  });
}

/** Closes the connection at once: the server then rolls an open transaction back. */
function close(connection: PooledConnection, reason: unknown): void {
  connection.__knex__disposed ??= reason;
  connection.destroy();
  connection.stream.destroy();
}
