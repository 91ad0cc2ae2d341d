import { describe, expect, it } from '@jest/globals';
import { type Config, type ConfigError, loadConfig } from '../../src/config/config.ts';
import { WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { environment } from '../support/environment.ts';
import { useHarness } from '../support/harness.ts';
import { runServer, runToEnd } from '../support/processes.ts';
import { PREFIX } from '../support/requests.ts';
import { send } from '../support/send.ts';

const CONFIRMATION = { CONNECT_CONFIRMATION: 'true' };
const KEY_SET = { AUTH_JWKS_URL: 'https://h/k', AUTH_ISSUER: 'https://h/', AUTH_AUDIENCE: 'us' };

describe('the authentication settings', () => {
  const harness = useHarness(createSqlite, { env: { AUTH_DISABLED: '' } });
  const settings = (env: Record<string, string>): Config['callers'] | string[] => {
    const { database, simulator } = harness;
    try {
      return loadConfig({ ...environment(database.url, simulator), AUTH_DISABLED: '', ...env }).callers;
    } catch (error) {
      return (error as ConfigError).message.split('\n');
    }
  };

  it('accept every caller in development by default, and require API_KEYS in production', async () => {
    expect(settings({})).toMatchObject({ apiKeys: [], jwt: undefined, disabled: false });
    expect(settings({ NODE_ENV: 'production' })).toEqual([expect.stringMatching(/^API_KEYS is required/)]);
    expect((await send(harness.service.origin, `${PREFIX}/status/acme`)).status).toBe(200);
  });

  it('accept API keys with all scopes, or with those that are listed', () => {
    const [all, some] = ['x', 'y'].map((character) => character.repeat(32));
    expect(settings({ API_KEYS: `a:${all},b.c:${some}:connections:list+quickbooks:read` })).toMatchObject({
      apiKeys: [
        { name: 'a', key: all, scopes: undefined },
        { name: 'b.c', key: some, scopes: ['connections:list', 'quickbooks:read'] },
      ],
      jwtNamesScopes: false,
    });
  });

  it.each([
    ['AUTH_DISABLED beside API keys', { ...WITH_KEYS, AUTH_DISABLED: 'true' }, ['AUTH_DISABLED']],
    ['AUTH_DISABLED beside a key set', { ...KEY_SET, AUTH_DISABLED: 'true' }, ['AUTH_DISABLED']],
    ['a key set without issuer and audience', { AUTH_JWKS_URL: 'https://h/k' }, ['AUTH_AUDIENCE', 'AUTH_ISSUER']],
    ['an issuer alone', { AUTH_ISSUER: 'x' }, ['AUTH_AUDIENCE', 'AUTH_JWKS_URL']],
    ['an API key that is too short', { API_KEYS: `billing:${'x'.repeat(31)}` }, ['API_KEYS']],
    ['an API key without a name', { API_KEYS: 'x'.repeat(40) }, ['API_KEYS']],
    ['two API keys with one name', { API_KEYS: `a:${'x'.repeat(32)},a:${'y'.repeat(32)}` }, ['API_KEYS']],
    ['only commas', { API_KEYS: ' , ' }, ['API_KEYS']],
    ['an API key that no header can contain', { API_KEYS: `a:${'x y'.repeat(20)}` }, ['API_KEYS']],
    ['an API key with other characters', { API_KEYS: `a:${'x'.repeat(32)}+/=` }, ['API_KEYS']],
    ['an API key with an unknown scope', { API_KEYS: `a:${'x'.repeat(32)}:connections:erase` }, ['API_KEYS']],
    ['an API key with an empty list of scopes', { API_KEYS: `a:${'x'.repeat(32)}:` }, ['API_KEYS']],
    ['an API key with an empty scope', { API_KEYS: `a:${'x'.repeat(32)}:quickbooks:read+` }, ['API_KEYS']],
    ['AUTH_SCOPES that is neither true nor false', { AUTH_SCOPES: 'yes' }, ['AUTH_SCOPES']],
    ['one API key with two names', { API_KEYS: `a:${'x'.repeat(32)},b:${'x'.repeat(32)}` }, ['API_KEYS']],
  ])('reject %s, by the names of the variables', (_, env, names) => {
    const problems = settings(env as Record<string, string>);
    const lines = names.map((name) => expect.stringMatching(`^${name} `));
    expect(Array.isArray(problems) ? problems.sort() : 'no error').toEqual(lines);
  });
});

describe('the built service', () => {
  const harness = useHarness(createSqlite);

  it.each([
    ['in production if AUTH_DISABLED is true', { NODE_ENV: 'production' }, /AUTH_DISABLED/],
    ['in production if the database is SQLite', { NODE_ENV: 'production' }, /SQLite supports only one replica/],
    ['in development if no credentials are required', { AUTH_DISABLED: '' }, /anyone on this machine can call/],
    [
      'in production if anyone can confirm',
      { NODE_ENV: 'production', ...CONFIRMATION },
      /^CONNECT_CONFIRMATION proves nothing/,
    ],
    [
      'in development if anyone can confirm',
      { AUTH_DISABLED: '', ...CONFIRMATION },
      /^CONNECT_CONFIRMATION proves nothing/,
    ],
  ] as [string, Record<string, string>, RegExp][])('logs one warning at startup %s', async (_, env, warning) => {
    const server = await runServer({ ...environment(harness.database.url, harness.simulator), ...env });
    expect((await send(server.origin, `${PREFIX}/status/acme`)).status).toBe(200);
    await server.kill('SIGTERM');
    const lines = server
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ level, msg }) => level === 40 && warning.test(msg))).toHaveLength(1);
  });

  it('does not start in production without the variables that have no default, and prints a line for each', async () => {
    const { code, stdout, stderr } = await runToEnd('dist/src/server.js', [], {});
    expect([code, stdout]).toEqual([1, '']);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/,.*/, '')).sort()).toEqual([
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
