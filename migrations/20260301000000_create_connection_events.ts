import type { Knex } from 'knex';
import { addIndex, addUnique, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'connection_events';

/** What happened to each organization's connection, in the order in which it happened. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.bigIncrements('position');
    table.specificType('event_id', 'CHAR(36)').collate('ascii_bin').notNullable();
    table.string('organization_id', 36).collate('ascii_bin').notNullable();
    table.string('accounting_system', 50).collate('ascii_bin').notNullable();
    table.string('type', 50).notNullable();
    table.string('reason', 50);
    table.string('realm_id', 100).collate('ascii_bin');
    table.string('actor', 255).collate('utf8mb4_unicode_ci').notNullable();
    table.string('intuit_tid', 100);
    table.datetime('occurred_at', { precision: 3 }).notNullable();
  });
  await addUnique(knex, TABLE, { name: 'connection_events_event_id_unique', columns: ['event_id'] });
  await addIndex(knex, TABLE, ['occurred_at']);
  await addIndex(knex, TABLE, ['organization_id', 'position']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
