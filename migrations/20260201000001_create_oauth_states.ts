import type { Knex } from 'knex';

/** The states already used: inserting the id before the exchange is what makes a state single-use. */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('oauth_states', (table) => {
    table.string('state_id', 36).collate('ascii_bin').primary();
    table.datetime('expires_at', { precision: 3 }).notNullable().index();
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('oauth_states');
}
