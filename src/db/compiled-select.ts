import type { Knex } from 'knex';
import type { Session } from './session.ts';

/** Of Knex's client, which its types do not declare. */
type Client = Knex.Client & { processResponse<Row>(response: unknown): Row[] };

/**
 * A SELECT that is sent often. Knex builds its text once for each number of keys, and sends it on a connection of its pool. To build
 * it for every read, and to report its progress in events, would take Knex longer than the driver takes for the rest.
 */
export class CompiledSelect<Key, Row> {
  private readonly session: Session;
  private readonly build: (db: Knex, keys: readonly Key[]) => Knex.QueryBuilder;
  private readonly compiled = new Map<number, Knex.Sql>();

  /** @param build builds the statement for these keys, which must be its first values */
  constructor(session: Session, build: (db: Knex, keys: readonly Key[]) => Knex.QueryBuilder) {
    this.session = session;
    this.build = build;
  }

  /** Reads the rows of these keys, without deciding anything. @throws as `Session.read` */
  async read(keys: readonly Key[]): Promise<Row[]> {
    return this.session.read(async (db) => {
      const client = db.client as Client;
      const statement = this.compile(db, keys);
      const connection = await client.acquireConnection();
      try {
        const bindings = [...keys, ...statement.bindings.slice(keys.length)];
        return client.processResponse<Row>(await client.query(connection, { ...statement, bindings }));
      } finally {
        await client.releaseConnection(connection);
      }
    });
  }

  private compile(db: Knex, keys: readonly Key[]): Knex.Sql {
    let statement = this.compiled.get(keys.length);
    if (!statement) {
      statement = this.build(db, keys).toSQL();
      this.compiled.set(keys.length, statement);
    }
    return statement;
  }
}
