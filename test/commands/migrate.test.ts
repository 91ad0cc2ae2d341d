import { describe, expect, it } from '@jest/globals';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { migrateUp, migrationNames } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { emptyFolder, runToEnd } from '../support/processes.ts';
import { rowOf } from '../support/rows.ts';

describe('npm run migrate', () => {
  it('migrates, reports its status and rolls back, in one line each, from source and from the build', async () => {
    const database = await createSqlite();
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    const names = await migrationNames();
    const fromSource = (command: string) => output(runToEnd('bin/run.js', ['migrate', command], env));
    const fromBuild = (command: string) => output(runToEnd('dist/src/commands/migrate.js', ['migrate', command], env));

    expect(await fromBuild('status')).toBe(names.map((name) => `pending  ${name}\n`).join(''));
    expect(await fromSource('latest')).toBe(`Migrated ${names.join(', ')}.\n`);
    expect(await fromBuild('latest')).toBe('Nothing to migrate: the database is up to date.\n');
    expect(await fromBuild('status')).toBe(names.map((name) => `done     ${name}\n`).join(''));
    expect(await fromBuild('rollback')).toBe(`Rolled back ${[...names].reverse().join(', ')}.\n`);
    expect(await fromSource('rollback')).toBe('Nothing to roll back.\n');
    await database.drop();
  });

  it.each([
    ['a command that it does not know', ['sideways'], 'sqlite::memory:', /^usage: migrate latest\|rollback\|status/],
    ['no database', ['latest'], '', /^DATABASE_URL is required\n$/],
    ['a database that it does not know', ['latest'], 'postgres://canary@h/d', /^DATABASE_URL must be .*\n$/],
    [
      'a server that is not there',
      ['latest'],
      'mysql://root:canary@127.0.0.1:1/none',
      /^The database cannot be reached.*\n$/,
    ],
    [
      'a host that is not there',
      ['latest'],
      'mysql://root:canary@nowhere.invalid/none',
      /^The database cannot be reached.*\n$/,
    ],
    ['a folder that is not there', ['latest'], 'sqlite:/dev/null/x.db', /^[^\n]*\n$/],
  ])('says in one line what is wrong with %s', async (_, args, DATABASE_URL, message) => {
    const { code, stdout, stderr } = await runToEnd('dist/src/commands/migrate.js', ['migrate', ...args], {
      NODE_ENV: 'production',
      DATABASE_URL,
    });
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(message)]);
    expect(stderr).not.toContain('canary');
  });

  it('needs no database variable in development', async () => {
    const env = { NODE_ENV: 'development' };
    const { code } = await runToEnd('dist/src/commands/migrate.js', ['migrate', 'status'], env, emptyFolder());
    expect(code).toBe(0); // development’s own database, made in that folder
  });
});

describe('npm run migrate:rollback', () => {
  it('needs --yes without a terminal if the database contains connections', async () => {
    const database = await createSqlite();
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    const rollback = (...args: string[]) => runToEnd('bin/run.js', ['migrate', 'rollback', ...args], env);
    const knex = openKnex(loadDatabaseConfig(env));
    await migrateUp(knex);
    await knex('oauth_tokens').insert(rowOf());
    await knex.destroy();

    const { code, stdout, stderr } = await rollback();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      'The database contains connections (1 rows), which a rollback can delete. To roll back, add --yes.\n',
    );
    expect(await output(rollback('--yes'))).toMatch(/^Rolled back .*\n$/);
    await database.drop();
  });
});

describeOnServer('npm run migrate', (createDatabase) => {
  it('says in one line that the user or the database is unknown', async () => {
    const database = await createDatabase();
    await database.drop();
    const stranger = new URL(database.url);
    stranger.username = 'unknown';
    stranger.password = 'canary';
    for (const DATABASE_URL of [database.url, stranger.href]) {
      const { code, stdout, stderr } = await runToEnd('dist/src/commands/migrate.js', ['migrate', 'latest'], {
        DATABASE_URL,
      });
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(/^[^\n]*\n$/)]);
      expect(stderr).not.toContain('canary');
    }
  });
});

async function output(process: ReturnType<typeof runToEnd>): Promise<string> {
  const { code, stdout, stderr } = await process;
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}
