import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../../src/config/config.ts';
import { migrateUp, migrationNames } from '../../../src/db/migrations.ts';
import { openKnex } from '../../../src/db/session.ts';
import { createOnServer } from '../../support/own-database.ts';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { seconds } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { type Cluster, portOf } from './cluster.ts';

const DATABASES = 5;
/** What the migrations create, as the server describes it. */
const DESCRIPTION = {
  columns:
    'table_name, ordinal_position, column_name, column_type, is_nullable, column_default, collation_name, extra, generation_expression',
  statistics: 'table_name, index_name, seq_in_index, column_name, non_unique',
};

interface Run {
  errors: unknown[];
  /** How many processes had something to migrate. */
  migrating: number;
  /** How many nodes have each migration once, and the tables of a database that one process migrated. */
  right: number;
}

/** Migrates empty databases, one after the other, each through all nodes at once. */
export async function migrateOnAllNodes({ knex }: TestEnvironment, cluster: Cluster): Promise<Measurement> {
  const expected = await describeTables(knex);
  const startedAt = performance.now();
  const runs: Run[] = [];
  while (runs.length < DATABASES) runs.push(await migrateOne(cluster, expected));
  const ms = performance.now() - startedAt;
  const errors = runs.flatMap((run) => run.errors);
  const migrating = runs.reduce((total, run) => total + run.migrating, 0);
  const right = runs.reduce((total, run) => total + run.right, 0);
  const total = DATABASES * cluster.nodes.length;
  return {
    measured: `${DATABASES} databases; processes that migrated: ${migrating} of ${total}; errors: ${errors.length}${errors.length > 0 ? ` (${errors[0]})` : ''}; each migration once and the right tables: ${right} of ${total}; ${seconds(ms / DATABASES)} per database`,
    checks: { 'no migration fails': errors.length === 0, 'each node has the right tables': right === total },
  };
}

async function migrateOne({ nodes: [first, ...others] }: Cluster, expected: string): Promise<Run> {
  const database = await createOnServer(urlOf(portOf(first)));
  const name = new URL(database.url).pathname;
  const urls = [database.url, ...others.map(({ port }) => urlOf(port, name))];
  const knexes = urls.map((url) => openKnex(loadDatabaseConfig({ DATABASE_URL: url })));
  try {
    for (const knex of knexes) await until(() => knex.raw('SELECT 1').catch(() => undefined));
    const settled = await Promise.allSettled(knexes.map(migrateUp));
    const names = await migrationNames();
    let right = 0;
    for (const knex of knexes) {
      const recorded: string[] = await knex('knex_migrations').orderBy('name').pluck('name');
      if (`${recorded}` === `${names}` && (await describeTables(knex)) === expected) right += 1;
    }
    return {
      errors: settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : [])),
      migrating: settled.filter((each) => each.status === 'fulfilled' && each.value.length > 0).length,
      right,
    };
  } finally {
    for (const knex of knexes) await knex.destroy();
    await database.drop();
  }
}

async function describeTables(knex: Knex): Promise<string> {
  const rows: unknown[] = [];
  for (const [table, columns] of Object.entries(DESCRIPTION)) {
    const query = knex(`information_schema.${table}`).select(knex.raw(columns)).whereRaw('table_schema = DATABASE()');
    rows.push(...(await query.orderByRaw('1, 2, 3')));
  }
  return JSON.stringify(rows);
}

function urlOf(port: number, path = '/'): string {
  return `mysql://root@127.0.0.1:${port}${path}`;
}
