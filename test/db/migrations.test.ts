import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import createKnex, { type Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { HealthDatastore } from '../../src/datastores/health-datastore.ts';
import { knexConfig } from '../../src/db/knex-config.ts';
import { migrateDown, migrateUp, migrationNames, migrationStatus } from '../../src/db/migrations.ts';
import { openKnex, openSession, type Session } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { rowOf } from '../support/rows.ts';

const REQUIRED = [
  ...['organization_id', 'accounting_system', 'realm_id', 'access_token', 'refresh_token', 'is_active'],
  ...['access_token_expires_at', 'refresh_token_expires_at', 'created_at', 'updated_at'],
];

describeEachDatabase('the migrations', (createDatabase, kind) => {
  let database: TestDatabase;
  let session: Session;
  let knex: Knex;

  beforeEach(async () => {
    database = await createDatabase();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }), systemClock);
    knex = session.knex;
  });
  afterEach(async () => {
    await session.close();
    await database.drop();
  });

  it('go up, hold rows, go down to nothing, and up again', async () => {
    const names = await migrationNames();
    expect(await migrateUp(knex)).toEqual(names);
    expect(await migrateUp(knex)).toEqual([]);
    await knex('oauth_tokens').insert(rowOf());
    await knex('oauth_states').insert({ state_id: 'x', expires_at: new Date() });
    expect(await migrateDown(knex)).toEqual([...names].reverse());
    expect(await migrateDown(knex)).toEqual([]);
    for (const table of ['oauth_tokens', 'oauth_states']) expect(await knex.schema.hasTable(table)).toBe(false);
    expect(await migrateUp(knex)).toEqual(names);
  });

  it('report which have run and which are pending', async () => {
    const names = await migrationNames();
    const datastore = new HealthDatastore(session);
    expect(await migrationStatus(knex)).toEqual({ done: [], pending: names });
    await knex.schema.dropTableIfExists('knex_migrations');
    expect(await datastore.hasPendingMigrations()).toBe(true);
    expect(await knex.schema.hasTable('knex_migrations')).toBe(false);
    await migrateUp(knex);
    expect(await migrationStatus(knex)).toEqual({ done: names, pending: [] });
    expect(await datastore.hasPendingMigrations()).toBe(false);
    await knex('knex_migrations')
      .where({ name: names.at(-1) })
      .delete();
    expect(await datastore.hasPendingMigrations()).toBe(true);
  });

  it('are complete for an older replica after a newer version’s have run', async () => {
    await migrateUp(knex);
    await knex('knex_migrations').insert({ name: '29990101000000_later', batch: 2, migration_time: new Date() });
    expect(await new HealthDatastore(session).hasPendingMigrations()).toBe(false);
  });

  it('run once if two processes start at once', async () => {
    const other = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    try {
      const runs = await Promise.all([migrateUp(knex), migrateUp(other)]);
      expect(runs.flat()).toEqual(await migrationNames());
    } finally {
      await other.destroy();
    }
  });

  it.each(['update `knex_migrations_lock`', 'create table `oauth_states`', 'insert into `knex_migrations`'])(
    'are completed after a deadlock with a migration on another node, in: %s',
    async (statement) => {
      const settings = knexConfig(loadDatabaseConfig({ DATABASE_URL: database.url }));
      let deadlocks = 0;
      const client = deadlockingClient(settings, statement, () => {
        deadlocks += 1;
      });
      const deadlocked = createKnex({ ...settings, client });
      try {
        expect(await migrateUp(deadlocked)).not.toEqual([]);
      } finally {
        await deadlocked.destroy();
      }
      expect((await migrationStatus(knex)).pending).toEqual([]);
      expect(deadlocks).toBe(1);
    },
  );

  it('give every table a primary key, Knex’s own included', async () => {
    await migrateUp(knex);
    const tables = await primaryKeys(knex, kind);
    expect(Object.keys(tables)).toEqual(expect.arrayContaining(['knex_migrations', 'knex_migrations_lock']));
    expect(Object.entries(tables).filter(([, columns]) => columns === 0)).toEqual([]);
  });

  if (kind === 'MySQL') {
    it('run on a server that requires primary keys', async () => {
      const { pool, ...settings } = knexConfig(loadDatabaseConfig({ DATABASE_URL: database.url }));
      const strict = createKnex({
        ...settings,
        pool: {
          ...pool,
          afterCreate: (connection: { query(sql: string, done: () => void): void }, done: () => void) =>
            connection.query('SET SESSION sql_require_primary_key = ON', done),
        },
      });
      try {
        await expect(strict.raw('CREATE TABLE keyless (name TEXT)')).rejects.toMatchObject({
          code: 'ER_TABLE_WITHOUT_PK',
        });
        expect(await migrateUp(strict)).toEqual(await migrationNames());
      } finally {
        await strict.destroy();
      }
    });
  }

  it('report names that Knex’s command line recorded with an extension, and the statement that corrects them', async () => {
    const names = await migrateUp(knex);
    for (const [index, name] of names.entries())
      await knex('knex_migrations')
        .where({ name })
        .update({ name: `${name}.${index % 2 ? 'js' : 'ts'}` });
    const { message } = await migrateUp(knex).catch((error) => error);
    expect(message).toMatch(/^[^\n]*recorded names with a file extension[^\n]*$/);
    const [statement = ''] = /UPDATE [^;]*/.exec(message) ?? [];
    for (const refused of [migrateDown(knex), migrationStatus(knex)]) await expect(refused).rejects.toThrow(statement);
    await knex.raw(statement);
    expect([await migrateUp(knex), (await migrationStatus(knex)).done]).toEqual([[], names]);
  });

  it('report names that only a newer version knows', async () => {
    await migrateUp(knex);
    await knex('knex_migrations').insert({ name: '29990101000000_later', batch: 2, migration_time: new Date() });
    await expect(migrateUp(knex)).rejects.toThrow(
      /does not know: 29990101000000_later\. Use the version that ran them/,
    );
  });

  it('allow one active row for an organization and system, and any number of ended ones', async () => {
    await migrateUp(knex);
    await knex('oauth_tokens').insert(rowOf());
    await expect(knex('oauth_tokens').insert(rowOf())).rejects.toMatchObject({
      message: expect.stringMatching(/unique|duplicate/i),
    });
    for (const deactivation_reason of ['disconnected', 'replaced', 'disconnected', 'replaced'] as const)
      await knex('oauth_tokens').insert(rowOf({ is_active: 0, deactivation_reason }));
    await knex('oauth_tokens').insert(rowOf({ organization_id: 'ACME' }));
    expect(await knex('oauth_tokens').where('organization_id', 'acme')).toHaveLength(5);
  });

  it('give the defaults and the indexes of the contract', async () => {
    await migrateUp(knex);
    const { is_active, ...row } = rowOf();
    await knex('oauth_tokens').insert(row);
    expect(await knex('oauth_tokens').first()).toMatchObject({ is_active, generation: 0, refresh_failures: 0 });
    for (const name of REQUIRED)
      await expect(knex('oauth_tokens').insert(rowOf({ organization_id: 'x', [name]: null }))).rejects.toMatchObject({
        message: expect.stringMatching(/null/i),
      });
    const indexed = await indexedColumns(knex, kind);
    expect(indexed).toEqual(expect.arrayContaining(['organization_id', 'realm_id', 'access_token_expires_at']));
  });

  it('keep instants to the millisecond and past 2038, whatever the server’s zone', async () => {
    await migrateUp(knex);
    const instants = [new Date('2040-03-31T02:30:00.987Z'), new Date('2026-03-29T01:30:00.001Z')] as const;
    await knex('oauth_tokens').insert(rowOf({ refresh_token_expires_at: instants[0], created_at: instants[1] }));
    const stored = await knex('oauth_tokens').first();
    expect([new Date(stored?.refresh_token_expires_at ?? 0), new Date(stored?.created_at ?? 0)]).toEqual(instants);
  });
});

describe('the names of the migrations', () => {
  const built = new URL('../../dist/src/db/migrations.js', import.meta.url);
  const itWhenBuilt = existsSync(built) ? it : it.skip;

  itWhenBuilt('are the same from source and from the build', async () => {
    const script = `import { migrationNames } from '${built.href}'; console.log(JSON.stringify(await migrationNames()));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual(await migrationNames());
  });

  it('begin with their time and end without an extension', async () => {
    for (const name of await migrationNames()) expect(name).toMatch(/^\d{14}_[a-z_]+$/);
  });
});

/** The number of columns in each table's primary key. */
async function primaryKeys(knex: Knex, kind: string): Promise<Record<string, number>> {
  const sql =
    kind === 'SQLite'
      ? `SELECT m.name, (SELECT COUNT(*) FROM pragma_table_info(m.name) WHERE pk > 0) AS columns
         FROM sqlite_master m WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
      : `SELECT t.TABLE_NAME AS name, COUNT(k.COLUMN_NAME) AS columns FROM information_schema.TABLES t
         LEFT JOIN information_schema.KEY_COLUMN_USAGE k ON k.TABLE_SCHEMA = t.TABLE_SCHEMA
           AND k.TABLE_NAME = t.TABLE_NAME AND k.CONSTRAINT_NAME = 'PRIMARY'
         WHERE t.TABLE_SCHEMA = DATABASE() GROUP BY t.TABLE_NAME`;
  const result = await knex.raw(sql);
  const rows: { name: string; columns: number }[] = kind === 'SQLite' ? result : result[0];
  return Object.fromEntries(rows.map(({ name, columns }) => [name, columns]));
}

async function indexedColumns(knex: Knex, kind: string): Promise<string[]> {
  if (kind === 'SQLite') {
    const rows = await knex.raw(
      "SELECT i.name FROM pragma_index_list('oauth_tokens') l, pragma_index_info(l.name) i WHERE i.seqno = 0",
    );
    return rows.map(({ name }: { name: string }) => name);
  }
  const [rows] = await knex.raw('SHOW INDEX FROM oauth_tokens WHERE Seq_in_index = 1');
  return rows.map(({ Column_name }: { Column_name: string }) => Column_name);
}

/** A client of which the first statement that begins with this text is chosen as the victim of a deadlock. */
function deadlockingClient(settings: Knex.Config, statement: string, onDeadlock: () => void): typeof Knex.Client {
  const Client = createKnex(settings).client.constructor;
  let isDone = false;
  return class extends Client {
    async _query(connection: unknown, query: { sql: string }): Promise<unknown> {
      if (isDone || !query.sql.startsWith(statement)) return super._query(connection, query);
      isDone = true;
      onDeadlock();
      throw Object.assign(new Error('Deadlock found'), { code: 'ER_LOCK_DEADLOCK', errno: 1213 });
    }
  } as unknown as typeof Knex.Client;
}
