declare module 'knex/lib/dialects/better-sqlite3/index.js' {
  import type { Knex } from 'knex';

  /** Knex's dialect for better-sqlite3 and for drivers with the same interface. */
  export default class BetterSqlite3Client extends Knex.Client {
    _driver(): unknown;
    _query(connection: object, query: object): Promise<unknown>;
  }
}
