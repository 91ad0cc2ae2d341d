declare module 'knex/lib/dialects/better-sqlite3/index.js' {
  import type { Knex } from 'knex';

  /** Knex's dialect for better-sqlite3 and for drivers with the same interface. */
  export default class BetterSqlite3Client extends Knex.Client {
    _driver(): unknown;
    _query(connection: object, query: object): Promise<unknown>;
  }
}

declare module 'knex/lib/dialects/mysql2/index.js' {
  import type { Knex } from 'knex';
  import type { Connection } from 'mysql2';

  /** Knex's dialect for mysql2. */
  export default class Mysql2Client extends Knex.Client {
    readonly driver: { createConnection(settings: object): Connection };
    _query(connection: Connection, query: object): Promise<unknown>;
  }
}
