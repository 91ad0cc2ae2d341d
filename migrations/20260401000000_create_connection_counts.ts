import type { Knex } from 'knex';
import { createTable } from '../src/db/migration-steps.ts';

const TABLE = 'connection_counts';
const SHARDS = 16;

export async function up(knex: Knex): Promise<void> {
  await createTable(knex, TABLE, (table) => {
    table.integer('shard').unsigned().notNullable().primary();
    table.integer('active').notNullable(); // one shard's may be negative: the sum counts
    table.integer('lost').notNullable();
  });
  const [first, ...others] = Array.from({ length: SHARDS }, (_, shard) => ({ shard, active: 0, lost: 0 }));
  const total = {
    ...first,
    active: await countOf(knex, { is_active: 1 }),
    lost: await countOf(knex, { is_active: 0, current_key: 1 }),
  };
  await knex(TABLE)
    .insert([total, ...others])
    .onConflict('shard')
    .merge();
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTableIfExists(TABLE);
}

async function countOf(knex: Knex, rows: { is_active: 0 | 1; current_key?: 1 }): Promise<number> {
  const row = await knex('oauth_tokens').where(rows).count({ total: '*' }).first();
  return Number(row?.total ?? 0);
}
