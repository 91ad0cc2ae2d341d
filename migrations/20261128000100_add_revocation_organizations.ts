import type { Knex } from 'knex';
import { addColumn, dropColumn } from '../src/db/migration-steps.ts';

const [TABLE, COLUMN] = ['pending_revocations', 'organization_id'];

/** Whose grant it was: revoking it could end a new grant of the same organization for the same company. */
export async function up(knex: Knex): Promise<void> {
  await addColumn(knex, TABLE, {
    name: COLUMN,
    define: (table) => table.string(COLUMN, 36).collate('ascii_bin'),
  });
}

export async function down(knex: Knex): Promise<void> {
  await dropColumn(knex, TABLE, COLUMN);
}
