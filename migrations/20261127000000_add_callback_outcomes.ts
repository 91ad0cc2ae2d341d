import type { Knex } from 'knex';
import { addColumn, dropColumn } from '../src/db/migration-steps.ts';

const TABLE = 'oauth_states';

/** How each callback ended, for the same browser that sends its state again. */
export async function up(knex: Knex): Promise<void> {
  await addColumn(knex, TABLE, {
    name: 'outcome',
    define: (table) => table.string('outcome', 20).collate('ascii_bin'),
  });
  await addColumn(knex, TABLE, {
    name: 'outcome_detail',
    define: (table) => table.string('outcome_detail', 50).collate('ascii_bin'),
  });
}

export async function down(knex: Knex): Promise<void> {
  await dropColumn(knex, TABLE, 'outcome_detail');
  await dropColumn(knex, TABLE, 'outcome');
}
