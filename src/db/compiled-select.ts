import type { Knex } from 'knex';
import type { Session } from './session.ts';

/** Knex's client, with a method that its types omit. */
type Client = Knex.Client & { processResponse<Row>(response: unknown): Row[] };

/**
 * A SELECT that is sent often. Its SQL is compiled once for each number of keys, and sent through Knex's client. To compile it for every
 * read, and to emit the query builder's events, takes longer than the driver does.
 */
export class CompiledSelect<Key, Row> {
  private readonly session: Session;
  private readonly build: (db: Knex, keys: readonly Key[]) => Knex.QueryBuilder;
  private readonly compiled = new Map<number, Knex.Sql>();

  /** @param build builds the statement, whose first bindings are the keys */
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
      const { bindings } = statement;
      if (keys.some((key, index) => bindings[index] !== key)) throw new Error('the first bindings must be the keys');
      this.compiled.set(keys.length, statement);
    }
    return statement;
  }
}
