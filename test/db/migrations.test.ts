import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config.ts';
import { MigrationDatastore } from '../../src/datastores/migration-datastore.ts';
import { migrateDown, migrateUp, migrationNames, migrationStatus } from '../../src/db/migrations.ts';
import { openKnex, openSession, type Session } from '../../src/db/session.ts';
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
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }));
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

  it('tell what was run and what was not', async () => {
    const names = await migrationNames();
    const datastore = new MigrationDatastore(session);
    expect(await migrationStatus(knex)).toEqual({ done: [], pending: names });
    await knex.schema.dropTableIfExists('knex_migrations');
    expect(await datastore.hasPending()).toBe(true);
    expect(await knex.schema.hasTable('knex_migrations')).toBe(false);
    await migrateUp(knex);
    expect(await migrationStatus(knex)).toEqual({ done: names, pending: [] });
    expect(await datastore.hasPending()).toBe(false);
    await knex('knex_migrations')
      .where({ name: names.at(-1) })
      .delete();
    expect(await datastore.hasPending()).toBe(true);
  });

  it('are not disturbed by a newer version’s, so that an older replica goes on', async () => {
    await migrateUp(knex);
    await knex('knex_migrations').insert({ name: '29990101000000_later', batch: 2, migration_time: new Date() });
    expect(await new MigrationDatastore(session).hasPending()).toBe(false);
  });

  it('run once where two start at once', async () => {
    const other = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    try {
      const runs = await Promise.all([migrateUp(knex), migrateUp(other)]);
      expect(runs.flat()).toEqual(await migrationNames());
    } finally {
      await other.destroy();
    }
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
    expect(await knex('oauth_tokens').where({ organization_id: 'acme' })).toHaveLength(5);
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
