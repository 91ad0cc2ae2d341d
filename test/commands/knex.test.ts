import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { migrationNames } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { runToEnd } from '../support/processes.ts';

const CLI = 'node_modules/knex/bin/cli.js';
const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'knex-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describeEachDatabase('Knex’s command line and npm run migrate', (createDatabase) => {
  it('see the same migrations, from a checkout and in the image, whichever ran first', async () => {
    const database = await createDatabase();
    const names = await migrationNames();
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    const knexInCheckout = (...args: string[]) => output(runToEnd(CLI, ['--cwd', root, ...args], env));
    const knexInImage = (...args: string[]) => output(runToEnd(CLI, ['--cwd', image(), ...args], env));
    const migrate = (...args: string[]) => output(runToEnd('bin/run.js', ['migrate', ...args], env));

    expect(await knexInCheckout('migrate:latest')).toBe(`Batch 1 run: ${names.length} migrations\n`);
    expect(await migrate('latest')).toBe('Nothing to migrate: the database is up to date.\n');
    expect(await knexInImage('migrate:list')).toBe(
      [`Found ${names.length} Completed Migration file/files.`, ...names, 'No Pending Migration files Found.\n\n'].join(
        '\n',
      ),
    );
    expect(await knexInImage('migrate:down')).toContain(names.at(-1));
    expect(await migrate('latest')).toBe(`Migrated ${names.at(-1)}.\n`);
    expect(await knexInCheckout('migrate:rollback', '--all')).toMatch(/rolled back: \d+ migrations\n$/);
    expect(await knexInCheckout('migrate:up')).toContain(names[0]);
    expect(await migrate('rollback')).toBe(`Rolled back ${names[0]}.\n`);
    expect(await knexInImage('migrate:latest')).toBe(`Batch 1 run: ${names.length} migrations\n`);
    expect(await knexInCheckout('migrate:currentVersion')).toMatch(/^Current Version: \d{14}\n$/);
    expect(await knexInImage('migrate:unlock')).toMatch(/unlocked/);
    await database.drop();
  });
});

describe('Knex’s command line', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createSqlite();
  });
  afterEach(async () => database.drop());

  it('creates a migration in TypeScript from the template', async () => {
    for (const name of ['knexfile.js', 'knexfile.ts', 'package.json', 'src', 'migrations'])
      cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    await output(runToEnd(CLI, ['--cwd', folder, 'migrate:make', 'create_things'], env));
    const [created = ''] = readdirSync(join(folder, 'migrations')).filter((name) => name.endsWith('things.ts'));
    expect(created).toMatch(/^\d{14}_create_things\.ts$/);
    const text = (name: string) => readFileSync(join(folder, 'migrations', name), 'utf8');
    expect(text(created)).toBe(text('migration.stub'));
    expect(await output(runToEnd(CLI, ['--cwd', folder, 'migrate:latest'], env))).toMatch(/^Batch 1 run/);
  });

  it('says in one line what is wrong with DATABASE_URL', async () => {
    for (const DATABASE_URL of ['', 'postgres://canary@h/d']) {
      const env = { NODE_ENV: 'production', DATABASE_URL };
      const { code, stdout, stderr } = await runToEnd(CLI, ['--cwd', root, 'migrate:latest'], env);
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(/^DATABASE_URL [^\n]*\n$/)]);
      expect(stderr).not.toContain('canary');
    }
  });

  it('says in one line that the server cannot be reached', async () => {
    const env = { NODE_ENV: 'production', DATABASE_URL: 'mysql://root:canary@127.0.0.1:1/none' };
    const { code, stdout, stderr } = await runToEnd(CLI, ['--cwd', root, 'migrate:latest'], env);
    expect([code, stdout, stderr]).toEqual([1, '', 'ConnectError: cannot connect to the database: ECONNREFUSED\n']);
  });

  it('says in one line that a table belongs to another application', async () => {
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    const knex = openKnex(loadDatabaseConfig(env));
    await knex.schema.createTable('oauth_states', (table) => table.increments());
    await knex.destroy();
    const { code, stderr } = await runToEnd(CLI, ['--cwd', root, 'migrate:latest'], env);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^[^\n]*table oauth_states[^\n]*rename or drop it[^\n]*\n$/),
    ]);
  });
});

/** A folder like the image's: the build and packages without tsx. */
function image(): string {
  const app = mkdtempSync(join(folder, 'image-'));
  for (const name of ['package.json', 'knexfile.js', 'bin', 'dist'])
    cpSync(join(root, name), join(app, name), { recursive: true });
  mkdirSync(join(app, 'node_modules'));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(join(app, 'node_modules', name, '..'), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(app, 'node_modules', name));
  }
  return app;
}

async function output(process: ReturnType<typeof runToEnd>): Promise<string> {
  const { code, stdout, stderr } = await process;
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}
