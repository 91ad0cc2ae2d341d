import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Fernet } from '../../src/crypto/fernet.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { decryptRows, encryptedRow, NEW_KEY, OLD_KEY, UNKNOWN_KEY } from '../support/encrypted-rows.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { DAYS, useHarness } from '../support/harness.ts';
import { emptyFolder, runToEnd } from '../support/processes.ts';
import { connect, disconnect, startService, status, type TestService } from '../support/service.ts';

const BUILT = 'dist/src/commands/keys-rotate.js';

describe('npm run keys:generate', () => {
  it.each(['bin/run.js', 'dist/src/commands/keys-generate.js'])(
    'prints one Fernet key, a different one each time, when run as %s',
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
  const harness = useHarness(createDatabase, { isolated: true });
  const env = () => ({
    NODE_ENV: 'production',
    DATABASE_URL: harness.database.url,
    ENCRYPTION_KEY: `${NEW_KEY},${OLD_KEY}`,
  });
  const services: TestService[] = [];

  afterAll(async () => {
    for (const service of services) await service.close();
  });

  it('re-encrypts the rows of older keys, and does nothing the second time', async () => {
    await insert(encryptedRow('a', OLD_KEY), encryptedRow('b', NEW_KEY), encryptedRow('c', OLD_KEY));
    const first = await runToEnd('bin/run.js', ['keys-rotate'], env());
    expect(first).toEqual({ code: 0, stdout: 'Re-encrypted 2 of 3 rows.\n', stderr: '' });
    expect(Object.values(await decryptRows(harness.knex, [NEW_KEY])).every(Boolean)).toBe(true);
    const second = await runToEnd(BUILT, [], env());
    expect(second).toEqual({ code: 0, stdout: 'Re-encrypted 0 of 3 rows.\n', stderr: '' });
  });

  it('names the row that no key can decrypt, rotates the others, and exits with 1', async () => {
    await insert(encryptedRow('a', OLD_KEY), encryptedRow('b', UNKNOWN_KEY), encryptedRow('c', OLD_KEY));
    expect(await runToEnd(BUILT, [], env())).toEqual({
      code: 1,
      stdout: 'Re-encrypted 2 of 3 rows.\n',
      stderr: 'No key in ENCRYPTION_KEY can decrypt the row oauth_tokens b.\n',
    });
    expect(await decryptRows(harness.knex, [NEW_KEY])).toMatchObject({
      a: ['access-a', 'refresh-a'],
      b: undefined,
      c: ['access-c', 'refresh-c'],
    });
  });

  it('leaves a row alone whose tokens were copied from another row, and exits with 1', async () => {
    const { access_token, refresh_token, token_digest } = encryptedRow('a', OLD_KEY);
    await insert(encryptedRow('b', OLD_KEY, { access_token, refresh_token, token_digest }));
    const { code, stderr } = await runToEnd(BUILT, [], env());
    expect([code, stderr]).toEqual([1, 'No key in ENCRYPTION_KEY can decrypt the row oauth_tokens b.\n']);
    expect(await harness.knex('oauth_tokens')).toMatchObject([{ access_token, refresh_token, token_digest }]);
  });

  it('draws a progress bar on a terminal', async () => {
    await insert(encryptedRow('a', OLD_KEY));
    const built = fileURLToPath(new URL(`../../${BUILT}`, import.meta.url));
    const command = `"${process.execPath}" "${built}"`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: emptyFolder(),
      env: { ...env(), PATH: process.env['PATH'] ?? '' },
    });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(output).toMatch(/█{40} 1 of 1 rows\r?\n.*Re-encrypted 1 of 1 rows\./s);
  });

  it('runs beside a service that has both keys, after which the old key can be removed', async () => {
    const old = await start(OLD_KEY);
    for (const organization of ['one', 'two']) await connect(old, harness.simulator, organization);
    const both = await start(`${NEW_KEY},${OLD_KEY}`);
    expect((await call(both, 'one')).status).toBe(200);
    expect((await runToEnd(BUILT, [], env())).code).toBe(0);
    expect((await call(both, 'one')).status).toBe(200);

    const alone = await start(NEW_KEY);
    await harness.expire('two');
    expect((await call(alone, 'one')).status).toBe(200);
    expect((await call(alone, 'two')).status).toBe(200); // refreshed with the refresh token that was re-encrypted
  });

  it('leaves a service working for every organization but the one whose row no key can decrypt', async () => {
    const service = await start(NEW_KEY);
    await connect(service, harness.simulator, 'one');
    const expiry = new Date(harness.clock.now().getTime() + 1 * DAYS);
    const valid = { access_token_expires_at: expiry, refresh_token_expires_at: expiry };
    await insert(encryptedRow('b', UNKNOWN_KEY, { organization_id: 'broken', ...valid }));
    expect((await runToEnd(BUILT, [], env())).code).toBe(1);

    await expectOwnError(await call(service, 'broken'), 500, 'internal_error');
    await harness.expire('broken');
    await expectOwnError(await call(service, 'broken'), 500, 'internal_error'); // its refresh token is no better
    const lines = service.logs.map((line) => JSON.parse(line));
    expect(lines.filter(({ event }) => event === 'request.failed')).toMatchObject([
      { level: 50, organization_id: 'broken' },
      { level: 50, organization_id: 'broken' },
    ]);
    expect(await status(service, 'broken')).toMatchObject({ connected: true });
    expect((await disconnect(service, 'broken')).status).toBe(200);
    expect((await call(service, 'one')).status).toBe(200);
  });

  async function insert(...rows: ReturnType<typeof encryptedRow>[]): Promise<void> {
    await harness.knex('oauth_tokens').insert(rows);
  }

  async function start(ENCRYPTION_KEY: string): Promise<TestService> {
    const { simulator, clock, database } = harness;
    const service = await startService({ databaseUrl: database.url, simulator, clock, env: { ENCRYPTION_KEY } });
    services.push(service);
    return service;
  }
});

describe('npm run keys:rotate with invalid settings', () => {
  it.each([
    ['no variables', {}, /^DATABASE_URL is required\nENCRYPTION_KEY is required\n$/],
    ['an invalid key', { ENCRYPTION_KEY: 'canary', DATABASE_URL: 'sqlite:/tmp/x.db' }, /^ENCRYPTION_KEY must be .*\n$/],
    [
      'no server',
      { ENCRYPTION_KEY: NEW_KEY, DATABASE_URL: 'mysql://root:canary@127.0.0.1:1/none' },
      /^.*database.*\n$/,
    ],
  ])('reports %s on stderr, and exits with 1', async (_, env, message) => {
    expect(await runWithoutLeak(env)).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  });
});

describeEachDatabase('npm run keys:rotate on a database that was never migrated', (createDatabase) => {
  it('reports it in one line, and exits with 1', async () => {
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
