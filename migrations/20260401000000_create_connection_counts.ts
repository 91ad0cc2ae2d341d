import type { Knex } from 'knex';

const SHARDS = 16;

export async function up(knex: Knex): Promise<void> {
  const shards = Array.from({ length: SHARDS }, (_, shard) => ({ shard, active: 0, lost: 0 }));
  const active = await countOf(knex, { is_active: 1 });
  const lost = await countOf(knex, { is_active: 0, current_key: 1 });
  await knex.schema.createTable('connection_counts', (table) => {
    table.integer('shard').unsigned().notNullable().primary();
    table.integer('active').notNullable(); // one shard's may be negative: the sum counts
    table.integer('lost').notNullable();
  });
  await knex('connection_counts').insert(shards);
  await knex('connection_counts').where('shard', 0).update({ active, lost });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('connection_counts');
}

async function countOf(knex: Knex, rows: { is_active: 0 | 1; current_key?: 1 }): Promise<number> {
  const row = await knex('oauth_tokens').where(rows).count({ total: '*' }).first();
  return Number(row?.total ?? 0);
}
