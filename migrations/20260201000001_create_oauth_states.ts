import type { Knex } from 'knex';

/** The states and connect links already used: inserting a state's id before the exchange is what makes it single-use. */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('oauth_states', (table) => {
    table.string('state_id', 36).collate('ascii_bin').primary();
    table.datetime('expires_at', { precision: 3 }).notNullable().index();
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('oauth_states');
}
