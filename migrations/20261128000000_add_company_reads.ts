import type { Knex } from 'knex';
import { addColumn, dropColumn } from '../src/db/migration-steps.ts';

const [TABLE, COLUMN] = ['oauth_tokens', 'company_read_at'];

/** When the company's name was last requested, since a connection that is used is never idle, and so never verified. */
export async function up(knex: Knex): Promise<void> {
  await addColumn(knex, TABLE, { name: COLUMN, define: (table) => table.datetime(COLUMN, { precision: 3 }) });
  await knex(TABLE)
    .whereNull(COLUMN)
    .update({ [COLUMN]: knex.ref('last_verified_at') });
}

export async function down(knex: Knex): Promise<void> {
  await dropColumn(knex, TABLE, COLUMN);
}
