import type { Knex } from 'knex';

/** The grants that are still to be revoked, each with its refresh token's ciphertext. */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('pending_revocations', (table) => {
    table.specificType('revocation_id', 'CHAR(36)').collate('ascii_bin').notNullable().primary();
    table.string('accounting_system', 50).collate('ascii_bin').notNullable();
    table.string('realm_id', 100).collate('ascii_bin').notNullable().index();
    table.text('refresh_token').notNullable();
    table.integer('failures').unsigned().notNullable().defaultTo(0);
    table.datetime('next_attempt_at', { precision: 3 }).notNullable().index();
    table.datetime('created_at', { precision: 3 }).notNullable();
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('pending_revocations');
}
