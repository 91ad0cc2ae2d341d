import type { Knex } from 'knex';
import { addColumn, addIndex, dropColumn, dropIndex } from '../src/db/migration-steps.ts';

const [TABLE, DAY] = ['oauth_tokens', 'authorization_expires_day'];

/** One index for each way to list current connections, all in the order of organizations, so that a page reads only itself. */
const INDEXES: Record<string, string[]> = {
  oauth_tokens_list_index: ['accounting_system', 'current_key', 'is_active', 'organization_id'],
  oauth_tokens_list_failing_index: [
    'accounting_system',
    'is_refresh_failing',
    'current_key',
    'is_active',
    'organization_id',
  ],
  oauth_tokens_list_expiring_index: ['accounting_system', DAY, 'current_key', 'is_active', 'organization_id'],
  oauth_tokens_list_company_index: ['realm_id', 'accounting_system', 'current_key', 'is_active', 'organization_id'],
};

/** The day on which the authorization ends, in days since 1970 in UTC. MySQL's TO_DAYS of 1970-01-01 is 719528. */
const DAY_OF: Record<string, string> = {
  mysql: 'INT GENERATED ALWAYS AS (TO_DAYS(authorization_expires_at) - 719528) VIRTUAL',
  sqlite: 'INT GENERATED ALWAYS AS (authorization_expires_at / 86400000) VIRTUAL',
};

export async function up(knex: Knex): Promise<void> {
  const type = DAY_OF[knex.client.dialect === 'sqlite3' ? 'sqlite' : 'mysql'] ?? '';
  await addColumn(knex, TABLE, { name: DAY, define: (table) => table.specificType(DAY, type) });
  for (const [name, columns] of Object.entries(INDEXES)) await addIndex(knex, TABLE, columns, name);
}

export async function down(knex: Knex): Promise<void> {
  for (const name of Object.keys(INDEXES)) await dropIndex(knex, TABLE, name);
  await dropColumn(knex, TABLE, DAY);
}
