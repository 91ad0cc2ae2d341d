import { describe, expect, it } from '@jest/globals';
import { migrationNames } from '../../src/db/migrations.ts';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { emptyFolder, runToEnd } from '../support/processes.ts';

describe('npm run migrate', () => {
  it('goes up, tells its status and goes down, a line at a time, from source and from the build alike', async () => {
    const database = await createSqlite();
    const env = { NODE_ENV: 'production', DATABASE_URL: database.url };
    const names = await migrationNames();
    const fromSource = (command: string) => told(runToEnd('bin/run.js', ['migrate', command], env));
    const fromBuild = (command: string) => told(runToEnd('dist/src/commands/migrate.js', ['migrate', command], env));

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

  async function told(process: ReturnType<typeof runToEnd>): Promise<string> {
    const { code, stdout, stderr } = await process;
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  }
});

describeOnServer('npm run migrate', (createDatabase) => {
  it('says in one line that the user or the database is unknown', async () => {
    const database = await createDatabase();
    await database.drop();
    const stranger = new URL(database.url);
    stranger.username = 'nobody';
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
