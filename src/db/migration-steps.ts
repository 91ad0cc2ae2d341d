import type { Knex } from 'knex';

/**
 * Creates a table with its columns and primary key. If an interrupted run already created it, does nothing.
 * @throws MigrationError if a different table has this name
 */
export async function createTable(
  knex: Knex,
  name: string,
  define: (table: Knex.CreateTableBuilder) => void,
): Promise<void> {
  if (!(await knex.schema.hasTable(name))) {
    await knex.schema.createTable(name, define);
    return;
  }
  const [statement] = knex.schema.createTable(name, define).toSQL();
  const columns = [...(statement?.sql ?? '').matchAll(/[(,] ?`(\w+)` /g)].map(([, column]) => column ?? '');
  try {
    await knex(name).select(columns).limit(0);
  } catch {
    throw new MigrationError(
      `The database already has a table ${name}, and it is not this service's: rename or drop it, or use another database, and migrate again.`,
    );
  }
}

/** Adds a column, unless an interrupted run already added it. */
export async function addColumn(
  knex: Knex,
  table: string,
  { name, define }: { name: string; define: (table: Knex.AlterTableBuilder) => void },
): Promise<void> {
  if (!(await hasColumn(knex, table, name))) await knex.schema.alterTable(table, define);
}

/** Drops a column, if it is there. Without Knex's own statement, which rebuilds the whole table on SQLite. */
export async function dropColumn(knex: Knex, table: string, name: string): Promise<void> {
  if ((await knex.schema.hasTable(table)) && (await hasColumn(knex, table, name))) {
    await knex.raw('ALTER TABLE ?? DROP COLUMN ??', [table, name]);
  }
}

/** On SQLite, Knex's own test does not see generated columns. */
async function hasColumn(knex: Knex, table: string, name: string): Promise<boolean> {
  if (knex.client.dialect !== 'sqlite3') return knex.schema.hasColumn(table, name);
  const columns: { name: string }[] = await knex.raw('SELECT name FROM pragma_table_xinfo(?)', [table]);
  return columns.some((column) => column.name === name);
}

/** Creates an index, unless an interrupted run already created it. @param name by default: that of the columns */
export async function addIndex(
  knex: Knex,
  table: string,
  columns: string[],
  name = `${table}_${columns.join('_')}_index`,
): Promise<void> {
  if (!(await hasIndex(knex, table, name))) await knex.schema.alterTable(table, (alter) => alter.index(columns, name));
}

/** Drops an index, if it is there. */
export async function dropIndex(knex: Knex, table: string, name: string): Promise<void> {
  if (!(await knex.schema.hasTable(table)) || !(await hasIndex(knex, table, name))) return;
  await knex.schema.alterTable(table, (alter) => alter.dropIndex([], name));
}

/** Creates a unique index, unless an interrupted run already created it. */
export async function addUnique(knex: Knex, table: string, index: { name: string; columns: string[] }): Promise<void> {
  if (await hasIndex(knex, table, index.name)) return;
  await knex.schema.alterTable(table, (alter) => alter.unique(index.columns, { indexName: index.name }));
}

/** A migration that cannot be run: what happened and what to do, on one line. Has no stack, which Knex's command line would print. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';

  constructor(message: string) {
    super(message);
    this.stack = message;
  }
}

async function hasIndex(knex: Knex, table: string, name: string): Promise<boolean> {
  if (knex.client.dialect === 'sqlite3') {
    return (await knex('sqlite_master').where({ type: 'index', name })).length > 0;
  }
  const [rows] = await knex.raw('SHOW INDEX FROM ?? WHERE Key_name = ?', [table, name]);
  return rows.length > 0;
}
