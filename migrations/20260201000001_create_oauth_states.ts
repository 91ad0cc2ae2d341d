import type { Knex } from 'knex';
import { addIndex, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'oauth_states';

/** The states and connect links already used: inserting a state's id before the exchange is what makes it single-use. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.string('state_id', 36).collate('ascii_bin').primary();
    table.datetime('expires_at', { precision: 3 }).notNullable();
  });
  await addIndex(knex, TABLE, ['expires_at']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
