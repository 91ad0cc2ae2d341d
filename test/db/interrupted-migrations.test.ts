import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import type { DatabaseConfig } from '../../src/config/database-url.ts';
import { migrateDown, migrateUp, migrationNames, migrationStatus, unlockMigrations } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { isInterrupted } from '../support/interruption.ts';
import type { TestDatabase } from '../support/own-database.ts';

describeEachDatabase('a migration that was interrupted', (createDatabase, kind) => {
  let database: TestDatabase;
  let config: DatabaseConfig;
  let knex: Knex;

  beforeEach(async () => {
    database = await createDatabase();
    config = loadDatabaseConfig({ DATABASE_URL: database.url });
    knex = openKnex(config);
  });
  afterEach(async () => {
    await knex.destroy();
    await database.drop();
  });

  it('is completed by unlocking and migrating again, wherever it was interrupted', async () => {
    const names = await migrationNames();
    await migrateUp(knex);
    const complete = await schemaOf(knex, kind);
    await migrateDown(knex);

    const interruptions = await interruptEverywhere(migrateUp);
    expect(interruptions).toBeGreaterThan(25);
    expect(await schemaOf(knex, kind)).toEqual(complete);
    expect(await migrationStatus(knex)).toEqual({ done: names, pending: [] });
    expect(await knex('connection_counts')).toHaveLength(16);
  });

  it('is completed by rolling back again, if it was a rollback', async () => {
    await migrateUp(knex);
    expect(await interruptEverywhere(migrateDown)).toBeGreaterThan(12);
    expect(Object.keys(await schemaOf(knex, kind))).toEqual(['knex_migrations', 'knex_migrations_lock']);
    expect((await migrationStatus(knex)).done).toEqual([]);
  });

  it('names the table and the remedy if another application has a table of that name', async () => {
    await knex.schema.createTable('oauth_states', (table) => table.increments());
    await expect(migrateUp(knex)).rejects.toMatchObject({
      name: 'MigrationError',
      message: expect.stringMatching(/table oauth_states, and it is not this service's: rename or drop it/),
    });
    await knex.schema.dropTable('oauth_states');
    await migrateUp(knex);
    expect((await migrationStatus(knex)).pending).toEqual([]);
  });

  if (kind !== 'SQLite') {
    it('names the table if the server rejects a statement, and is completed without unlocking', async () => {
      const name = new URL(database.url).pathname.slice(1);
      const user = name.slice(0, 24);
      const { href: url } = Object.assign(new URL(database.url), { username: user, password: 'secret' });
      await knex.raw(`CREATE USER '${user}'@'%' IDENTIFIED BY 'secret'`);
      try {
        await knex.raw(`GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON ${name}.* TO '${user}'@'%'`);
        const limited = openKnex(loadDatabaseConfig({ DATABASE_URL: url }));
        await expect(migrateUp(limited)).rejects.toMatchObject({
          name: 'MigrationError',
          message: expect.stringMatching(
            /^Migration \w+_create_oauth_tokens failed: (ALTER|INDEX).*denied.*oauth_tokens.*\(ER_\w+\)\. Fix/,
          ),
        });
        await limited.destroy();
      } finally {
        await knex.raw(`DROP USER '${user}'@'%'`);
      }
      await migrateUp(knex);
      expect((await migrationStatus(knex)).pending).toEqual([]);
    });
  }

  /** Interrupts `work` once after each of its writes, on the same database. Returns how often. */
  async function interruptEverywhere(work: (knex: Knex) => Promise<unknown>): Promise<number> {
    const survived = new Set<string>();
    let interruptions = 0;
    while (await isInterrupted(config, work, survived)) {
      interruptions += 1;
      await unlockMigrations(knex);
    }
    return interruptions;
  }
});

/** The statement that creates each table or index, by its name. */
async function schemaOf(knex: Knex, kind: string): Promise<Record<string, string>> {
  if (kind === 'SQLite') {
    const rows = await knex('sqlite_master').whereNot('name', 'like', 'sqlite_%').orderBy('name');
    return Object.fromEntries(rows.map(({ name, sql }) => [name, sql]));
  }
  const [tables] = await knex.raw('SHOW TABLES');
  const schema: Record<string, string> = {};
  for (const name of tables.flatMap(Object.values)) {
    const [[row]] = await knex.raw('SHOW CREATE TABLE ??', [name]);
    schema[name] = row['Create Table'].replace(/ AUTO_INCREMENT=\d+/, '');
  }
  return schema;
}
