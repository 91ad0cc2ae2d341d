import type { Knex } from 'knex';
import { addIndex, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'webhook_queues';

/** How far each organization's events were delivered. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.string('organization_id', 36).collate('ascii_bin').primary();
    table.bigInteger('delivered_position').notNullable();
    table.integer('version').unsigned().notNullable();
    table.integer('attempts').unsigned().notNullable().defaultTo(0);
    table.datetime('next_attempt_at', { precision: 3 });
  });
  await addIndex(knex, TABLE, ['next_attempt_at']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
