import type { Knex } from 'knex';
import { openKnex } from '../../src/db/session.ts';

const TABLE = 'oauth_tokens';

/** The current connections as they were when a node began to lag. */
export class LaggingCopy {
  readonly knex = openKnex({ client: 'sqlite', filename: ':memory:' });
  private readonly original: Knex;

  private constructor(original: Knex) {
    this.original = original;
  }

  static async open(original: Knex): Promise<LaggingCopy> {
    const copy = new LaggingCopy(original);
    const columns: { name: string }[] = await original.raw('SELECT name FROM pragma_table_xinfo(?)', [TABLE]);
    // Without constraints and with generated columns as plain ones: it is only read.
    await copy.knex.schema.createTable(TABLE, (table) => {
      for (const { name } of columns) table.specificType(name, '');
    });
    return copy;
  }

  async copy(): Promise<void> {
    const rows = await this.original(TABLE).where({ current_key: 1 });
    await this.knex(TABLE).delete();
    for (const row of rows) await this.knex(TABLE).insert(row);
  }
}
