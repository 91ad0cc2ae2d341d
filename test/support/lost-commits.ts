import type { Knex } from 'knex';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import { written } from './rows.ts';

/** What a connection is stored in. */
const TABLES = [
  'oauth_tokens',
  'oauth_states',
  'pending_grants',
  'pending_revocations',
  'connection_events',
  'connection_counts',
] as const;

/** Returns a function that makes the database what it is now, as a failover does to which nothing later was replicated. */
export async function stopReplication(knex: Knex): Promise<() => Promise<void>> {
  const copies: [table: (typeof TABLES)[number], rows: object[]][] = [];
  for (const table of TABLES) copies.push([table, await knex(table)]);
  return async () => {
    for (const [table, rows] of copies) {
      await knex(table).delete();
      const insertable = table === 'oauth_tokens' ? rows.map((row) => written(row as OAuthTokenRow)) : rows;
      if (rows.length > 0) await knex(table).insert(insertable as never);
    }
  };
}
