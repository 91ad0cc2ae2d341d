import type { Knex } from 'knex';
import { addIndex, addUnique, createTable } from '../src/db/migration-steps.ts';

const TABLE = 'oauth_tokens';

/** Identifiers are compared by bytes: MySQL's default collation would make `ORG` and `org` one organization. */
const BYTES = 'ascii_bin';

/**
 * 1 for the organization's one current connection: active, or lost and not yet restored. Null, which a unique index
 * allows any number of times, for every row that was disconnected or replaced.
 */
const CURRENT_KEY = `TINYINT GENERATED ALWAYS AS (
  CASE WHEN is_active = 1 OR deactivation_reason NOT IN ('disconnected', 'replaced') THEN 1 END
) VIRTUAL`;

export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    const instant = (name: string) => table.datetime(name, { precision: 3 });
    table.specificType('token_id', 'CHAR(36)').collate(BYTES).notNullable().primary();
    table.string('organization_id', 36).collate(BYTES).notNullable();
    table.string('accounting_system', 50).collate(BYTES).notNullable();
    table.string('realm_id', 100).collate(BYTES).notNullable();
    table.string('company_name', 255).collate('utf8mb4_unicode_ci');
    table.text('access_token').notNullable();
    table.text('refresh_token').notNullable();
    table.specificType('token_digest', 'CHAR(43)').collate(BYTES);
    instant('access_token_expires_at').notNullable();
    instant('refresh_token_expires_at').notNullable();
    table.boolean('is_refresh_expiry_assumed').notNullable().defaultTo(false);
    instant('authorization_expires_at');
    table.boolean('is_active').notNullable().defaultTo(true);
    instant('deactivated_at');
    table.string('deactivation_reason', 50);
    table.integer('generation').unsigned().notNullable().defaultTo(0);
    table.string('refresh_lease_owner', 36);
    table.string('refresh_takeover_owner', 36);
    instant('refresh_started_at');
    table.integer('refresh_failures').unsigned().notNullable().defaultTo(0);
    instant('next_refresh_attempt_at');
    instant('last_refreshed_at');
    instant('last_verified_at');
    table.string('last_intuit_tid', 100);
    instant('created_at').notNullable();
    instant('updated_at').notNullable();
    instant('next_maintenance_at');
    table.integer('recovery_attempts').unsigned().notNullable().defaultTo(0);
    instant('expiry_notified_at');
    table.boolean('is_refresh_failing').notNullable().defaultTo(false);
    table.specificType('current_key', CURRENT_KEY);
  });
  await addUnique(knex, TABLE, {
    name: 'oauth_tokens_current_unique',
    columns: ['organization_id', 'accounting_system', 'current_key'],
  });
  await addIndex(knex, TABLE, ['organization_id']);
  await addIndex(knex, TABLE, ['realm_id']);
  await addIndex(knex, TABLE, ['access_token_expires_at']);
  await addIndex(knex, TABLE, ['next_maintenance_at']);
  await addIndex(knex, TABLE, ['is_active', 'refresh_token_expires_at']);
  await addIndex(knex, TABLE, ['is_refresh_failing', 'is_active']);
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}
