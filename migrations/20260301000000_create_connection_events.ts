import type { Knex } from 'knex';

/** What happened to each organization's connection, in the order in which it happened. */
export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('connection_events', (table) => {
    table.bigIncrements('position');
    table.specificType('event_id', 'CHAR(36)').collate('ascii_bin').notNullable().unique();
    table.string('organization_id', 36).collate('ascii_bin').notNullable();
    table.string('accounting_system', 50).collate('ascii_bin').notNullable();
    table.string('type', 50).notNullable();
    table.string('reason', 50);
    table.string('realm_id', 100).collate('ascii_bin');
    table.string('actor', 255).collate('utf8mb4_unicode_ci').notNullable();
    table.string('intuit_tid', 100);
    table.datetime('occurred_at', { precision: 3 }).notNullable().index();
    table.index(['organization_id', 'position']);
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('connection_events');
}
