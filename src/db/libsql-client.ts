import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import BetterSqlite3Client from 'knex/lib/dialects/better-sqlite3/index.js';
import Database from 'libsql';

/** Knex's dialect for better-sqlite3 with libsql as its driver: the same interface, installed without compiling. */
export class LibsqlClient extends BetterSqlite3Client {
  override _driver(): unknown {
    return Database;
  }

  /** Creates the database file's folder if it is missing. */
  override async acquireRawConnection(): Promise<unknown> {
    const { filename } = this.connectionSettings as { filename: string };
    mkdirSync(dirname(filename), { recursive: true });
    return super.acquireRawConnection().catch((error: Error) => {
      // libsql reports SQLite's result code 14 only in the message.
      throw /: 14"\)$/.test(error.message) ? Object.assign(error, { code: 'SQLITE_CANTOPEN' }) : error;
    });
  }

  /** Rolls an open transaction back: until its garbage collection, a closed connection would keep its lock. */
  override async destroyRawConnection(connection: Database.Database): Promise<void> {
    if (connection.inTransaction) connection.exec('ROLLBACK');
    return super.destroyRawConnection(connection);
  }

  /**
   * Replaces the connection after SQLITE_BUSY: until its garbage collection, libsql keeps the statement in progress and
   * with it an outdated snapshot (https://github.com/tursodatabase/libsql-client-ts/issues/352).
   */
  override async _query(
    connection: Database.Database & { __knex__disposed?: unknown },
    query: object,
  ): Promise<unknown> {
    try {
      return await super._query(connection, query);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code?.startsWith('SQLITE_BUSY')) connection.__knex__disposed = error;
      throw error;
    }
  }
}
