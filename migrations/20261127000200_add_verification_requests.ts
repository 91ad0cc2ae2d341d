import type { Knex } from 'knex';
import { addColumn, dropColumn } from '../src/db/migration-steps.ts';

const [TABLE, COLUMN] = ['oauth_tokens', 'verification_requested_at'];

/** When a browser reported that the company may have been disconnected at the provider. */
export async function up(knex: Knex): Promise<void> {
  await addColumn(knex, TABLE, { name: COLUMN, define: (table) => table.datetime(COLUMN, { precision: 3 }) });
}

export async function down(knex: Knex): Promise<void> {
  await dropColumn(knex, TABLE, COLUMN);
}
