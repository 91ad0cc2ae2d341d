import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { Fernet } from '../../src/crypto/fernet.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { emptyFolder, runToEnd } from '../support/processes.ts';
import { NEW_KEY, OLD_KEY, openMigrated, openRows, STRANGE_KEY, sealedRow } from '../support/sealed-rows.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';

const BUILT = 'dist/src/commands/keys-rotate.js';
const later = {
  access_token_expires_at: new Date(Date.now() + 3_600_000),
  refresh_token_expires_at: new Date(Date.now() + 9e9),
};

describe('npm run keys:generate', () => {
  it.each(['bin/run.js', 'dist/src/commands/keys-generate.js'])(
    'prints one Fernet key, another each time: %s',
    async (script) => {
      const runs = await Promise.all([1, 2].map(() => runToEnd(script, ['keys-generate'], { NODE_ENV: 'production' })));
      for (const { code, stdout, stderr } of runs) {
        expect([code, stderr]).toEqual([0, '']);
        expect(stdout).toMatch(/^[\w-]{43}=\n$/);
        expect(Fernet.isKey(stdout.trim())).toBe(true);
      }
      expect(runs[0]?.stdout).not.toBe(runs[1]?.stdout);
    },
  );
});

describeEachDatabase('npm run keys:rotate', (createDatabase) => {
  let database: TestDatabase;
  let knex: Knex;
  let env: Record<string, string>;
  let simulator: IntuitSimulator;
  const services: TestService[] = [];
  beforeAll(async () => {
    simulator = await startIntuitSimulator();
    database = await createDatabase();
    knex = await openMigrated(database.url);
    env = { NODE_ENV: 'production', DATABASE_URL: database.url, ENCRYPTION_KEY: `${NEW_KEY},${OLD_KEY}` };
  });
  beforeEach(() => knex('oauth_tokens').delete());
  afterAll(async () => {
    for (const service of services) await service.close();
    await simulator.close();
    await knex.destroy();
    await database.drop();
  });

  it('re-encrypts and counts, and does nothing the second time', async () => {
    await knex('oauth_tokens').insert([sealedRow('a', OLD_KEY), sealedRow('b', NEW_KEY), sealedRow('c', OLD_KEY)]);
    const first = await runToEnd('bin/run.js', ['keys-rotate'], env);
    expect(first).toEqual({ code: 0, stdout: 'Re-encrypted 2 of 3 rows.\n', stderr: '' });
    expect(Object.values(await openRows(knex, [NEW_KEY])).every(Boolean)).toBe(true);
    expect(await runToEnd(BUILT, [], env)).toEqual({ code: 0, stdout: 'Re-encrypted 0 of 3 rows.\n', stderr: '' });
  });

  it('tells the row that no key opens by its id, ends with 1, and does the others', async () => {
    await knex('oauth_tokens').insert([sealedRow('a', OLD_KEY), sealedRow('b', STRANGE_KEY), sealedRow('c', OLD_KEY)]);
    const { code, stdout, stderr } = await runToEnd(BUILT, [], env);
    expect([code, stdout, stderr]).toEqual([
      1,
      'Re-encrypted 2 of 3 rows.\n',
      'No key opens the row oauth_tokens b.\n',
    ]);
    expect(await openRows(knex, [NEW_KEY])).toMatchObject({
      a: ['access-a', 'refresh-a'],
      b: undefined,
      c: ['access-c', 'refresh-c'],
    });
  });

  it('draws its progress on a terminal, and there alone', async () => {
    await knex('oauth_tokens').insert([sealedRow('a', OLD_KEY)]);
    const built = fileURLToPath(new URL(`../../${BUILT}`, import.meta.url));
    const command = `"${process.execPath}" "${built}"`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: emptyFolder(),
      env: { ...env, PATH: process.env['PATH'] ?? '' },
    });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(output).toMatch(/█{40} 1 of 1 rows\r?\r\n.*Re-encrypted 1 of 1 rows\./s);
  });

  it('leaves a service with both keys at work: it reads old rows and new ones; one that no key opens is 500 alone', async () => {
    const [before, after] = [OLD_KEY, `${NEW_KEY},${OLD_KEY}`].map((ENCRYPTION_KEY) => ({ ENCRYPTION_KEY }));
    const options = { databaseUrl: database.url, simulator };
    const start = async (env: Record<string, string> = {}) => {
      const service = await startService({ ...options, env });
      services.push(service);
      return service;
    };
    const old = await start(before);
    for (const organization of ['one', 'two'])
      await connect(old, simulator, organization, { realmId: '9341452000000001' });
    const both = await start(after);
    await knex('oauth_tokens').insert(sealedRow('b', STRANGE_KEY, { organization_id: 'broken', ...later }));
    expect((await call(both, 'one')).status).toBe(200);
    expect((await runToEnd(BUILT, [], env)).code).toBe(1);
    await knex('oauth_tokens')
      .where('organization_id', 'two')
      .update({ access_token_expires_at: new Date(0) });

    const alone = await start({ ENCRYPTION_KEY: NEW_KEY }); // the old key is gone
    expect((await call(alone, 'one')).status).toBe(200);
    expect((await call(alone, 'two')).status).toBe(200); // renewed with the refresh token that was re-encrypted
    await expectOwnError(await call(alone, 'broken'), 500, 'internal_error');
    await knex('oauth_tokens')
      .where('organization_id', 'broken')
      .update({ access_token_expires_at: new Date(0) });
    await expectOwnError(await call(alone, 'broken'), 500, 'internal_error'); // its refresh token is no better
    const errors = alone.logs.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'internal error');
    expect(errors).toMatchObject([{ organization_id: 'broken' }, { organization_id: 'broken' }]);
    expect(await status(alone, 'broken')).toMatchObject({ connected: true });
    expect((await disconnect(alone, 'broken')).status).toBe(200);
    expect((await call(alone, 'one')).status).toBe(200);
  });
});

describe('npm run keys:rotate that cannot begin', () => {
  it.each([
    ['no variables', {}, /^DATABASE_URL is required\nENCRYPTION_KEY is required\n$/],
    [
      'a key that is none',
      { ENCRYPTION_KEY: 'canary', DATABASE_URL: 'sqlite:/tmp/x.db' },
      /^ENCRYPTION_KEY must be .*\n$/,
    ],
    [
      'no server',
      { ENCRYPTION_KEY: NEW_KEY, DATABASE_URL: 'mysql://root:canary@127.0.0.1:1/none' },
      /^.*database.*\n$/,
    ],
  ])('says with %s what is wrong', async (_, env, message) => {
    expect(await runWithoutLeak(env)).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describeEachDatabase('npm run keys:rotate on a database that was never migrated', (createDatabase) => {
  it('says so in a line, and ends', async () => {
    const { url, drop } = await createDatabase();
    const ended = await runWithoutLeak({ DATABASE_URL: url, ENCRYPTION_KEY: NEW_KEY });
    expect(ended).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^.+\n$/) });
    await drop();
  });
});

async function runWithoutLeak(env: Record<string, string>) {
  const ended = await runToEnd(BUILT, [], env);
  expect(ended.stderr).not.toContain('canary');
  return ended;
}
