import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { type Config, type ConfigError, loadConfig } from '../../src/config/config.ts';
import { WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { environment } from '../support/environment.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { runToEnd } from '../support/processes.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, send } from '../support/send.ts';
import { startService } from '../support/service.ts';

const KEY_SET = { AUTH_JWKS_URL: 'https://h/k', AUTH_ISSUER: 'https://h/', AUTH_AUDIENCE: 'us' };

let simulator: IntuitSimulator;
let database: TestDatabase;
beforeAll(async () => {
  [simulator, database] = await Promise.all([startIntuitSimulator(), createSqlite()]);
});
afterAll(async () => {
  await Promise.all([simulator.close(), database.drop()]);
});

describe('who may call', () => {
  const settings = (env: Record<string, string>): Config['callers'] | string[] => {
    try {
      return loadConfig({ ...environment(database.url, simulator), AUTH_DISABLED: '', ...env }).callers;
    } catch (error) {
      return (error as ConfigError).problems;
    }
  };

  it('is everyone in development, and only there by default', async () => {
    expect(settings({})).toMatchObject({ apiKeys: [], jwt: undefined, disabled: false });
    expect(settings({ NODE_ENV: 'production' })).toEqual([expect.stringMatching(/^API_KEYS is required/)]);
    const env = { AUTH_DISABLED: '' };
    const open = await startService({ databaseUrl: 'sqlite::memory:', simulator, env });
    expect((await send(open.origin, `${PREFIX}/status/acme`)).status).toBe(200);
    expect(open.logs.filter((line) => JSON.parse(line).level >= 40)).toEqual([]);
    await open.close();
  });

  it('is everyone in production where AUTH_DISABLED is true, with one loud line', async () => {
    const env = { NODE_ENV: 'production', AUTH_DISABLED: 'true' };
    const open = await startService({ databaseUrl: database.url, simulator, env });
    expect(problemOf(await send(open.origin, `${PREFIX}/status/acme`))).toBe('service_unavailable'); // not migrated
    const warnings = open.logs.map((line) => JSON.parse(line)).filter(({ level }) => level >= 40);
    expect(warnings.filter(({ msg }) => msg.includes('AUTH_DISABLED'))).toHaveLength(1);
    await open.close();
  });

  it.each([
    ['AUTH_DISABLED beside keys', { ...WITH_KEYS, AUTH_DISABLED: 'true' }, ['AUTH_DISABLED']],
    ['AUTH_DISABLED beside a key set', { ...KEY_SET, AUTH_DISABLED: 'true' }, ['AUTH_DISABLED']],
    ['a key set without issuer and audience', { AUTH_JWKS_URL: 'https://h/k' }, ['AUTH_AUDIENCE', 'AUTH_ISSUER']],
    ['an issuer alone', { AUTH_ISSUER: 'x' }, ['AUTH_AUDIENCE', 'AUTH_JWKS_URL']],
    ['a short key', { API_KEYS: `billing:${'x'.repeat(31)}` }, ['API_KEYS']],
    ['a key without a name', { API_KEYS: 'x'.repeat(40) }, ['API_KEYS']],
    ['two keys of one name', { API_KEYS: `a:${'x'.repeat(32)},a:${'y'.repeat(32)}` }, ['API_KEYS']],
    ['nothing but commas', { API_KEYS: ' , ' }, ['API_KEYS']],
    ['a key that no header can carry', { API_KEYS: `a:${'x y'.repeat(20)}` }, ['API_KEYS']],
    ['one key under two names', { API_KEYS: `a:${'x'.repeat(32)},b:${'x'.repeat(32)}` }, ['API_KEYS']],
  ])('is an error of the settings with %s', (_, env, names) => {
    const problems = settings(env as Record<string, string>);
    const lines = names.map((name) => expect.stringMatching(`^${name} `));
    expect(Array.isArray(problems) ? problems.sort() : 'no error').toEqual(lines);
  });

  it('must be told to the built service in production, as all that has no default, a line each', async () => {
    const { code, stdout, stderr } = await runToEnd('dist/src/server.js', [], {});
    expect([code, stdout]).toEqual([1, '']);
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/,.*/, ''))
        .sort(),
    ).toEqual([
      'API_KEYS is required',
      'DATABASE_URL is required',
      'ENCRYPTION_KEY is required',
      'FRONTEND_URL is required',
      'OAUTH_STATE_SECRET is required',
      'QBO_CLIENT_ID is required',
      'QBO_CLIENT_SECRET is required',
      'QBO_ENVIRONMENT is required',
      'QBO_REDIRECT_URI is required',
    ]);
  });
});
