import type { Knex } from 'knex';
import { addIndex, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'pending_grants';

/** Grants that were exchanged and are not connections yet. Each becomes the row of `oauth_tokens` with the same ID. */
export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.specificType('token_id', 'CHAR(36)').collate('ascii_bin').notNullable().primary();
    table.string('organization_id', 36).collate('ascii_bin').notNullable();
    table.string('accounting_system', 50).collate('ascii_bin').notNullable();
    table.string('realm_id', 100).collate('ascii_bin').notNullable();
    table.text('access_token').notNullable();
    table.text('refresh_token').notNullable();
    table.specificType('token_digest', 'CHAR(43)').collate('ascii_bin').notNullable();
    table.datetime('access_token_expires_at', { precision: 3 }).notNullable();
    table.datetime('refresh_token_expires_at', { precision: 3 }).notNullable();
    table.boolean('is_refresh_expiry_assumed').notNullable();
    table.datetime('authorization_expires_at', { precision: 3 });
    table.string('intuit_tid', 100);
    table.string('actor', 255).collate('utf8mb4_unicode_ci').notNullable();
    table.string('state_id', 36).collate('ascii_bin').notNullable();
    table.string('pinned_realm_id', 100).collate('ascii_bin');
    table.string('link_id', 36).collate('ascii_bin');
    table.datetime('link_expires_at', { precision: 3 });
    table.string('phase', 20).collate('ascii_bin').notNullable();
    table.string('company_name', 255).collate('utf8mb4_unicode_ci');
    table.datetime('verified_at', { precision: 3 });
    table.datetime('confirmable_until', { precision: 3 });
    table.datetime('next_attempt_at', { precision: 3 }).notNullable();
    table.datetime('created_at', { precision: 3 }).notNullable();
  });
  await addIndex(knex, TABLE, ['next_attempt_at']);
  await addIndex(knex, TABLE, ['organization_id']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
