import type { Knex } from 'knex';
import { addIndex, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'pending_revocations';

/** The grants that are still to be revoked, each with its refresh token's ciphertext. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.specificType('revocation_id', 'CHAR(36)').collate('ascii_bin').notNullable().primary();
    table.string('accounting_system', 50).collate('ascii_bin').notNullable();
    table.string('realm_id', 100).collate('ascii_bin');
    table.text('refresh_token').notNullable();
    table.integer('attempts').unsigned().notNullable().defaultTo(0);
    table.datetime('next_attempt_at', { precision: 3 }).notNullable();
    table.datetime('created_at', { precision: 3 }).notNullable();
  });
  await addIndex(knex, TABLE, ['realm_id']);
  await addIndex(knex, TABLE, ['next_attempt_at']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
