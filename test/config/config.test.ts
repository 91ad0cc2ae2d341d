import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfig, loadDatabaseConfig, readEnvironment } from '../../src/config/config.ts';
import { KEY, PRODUCTION, problemsOf, SECRET } from '../support/variables.ts';

const DEVELOPMENT = { NODE_ENV: 'development' };
const KEY_PAIR = { QBO_CLIENT_ID: 'id', QBO_CLIENT_SECRET: 'secret' };
const { NODE_ENV, AUTH_DISABLED, ...REQUIRED_VARIABLES } = PRODUCTION;
const REQUIRED = Object.keys(REQUIRED_VARIABLES);

const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
  process.chdir(folder);
});
afterEach(() => rmSync(join(folder, 'data'), { recursive: true, force: true }));
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

describe('configuration in development', () => {
  it('requires no variable', () => {
    expect(loadConfig(DEVELOPMENT)).toMatchObject({
      production: false,
      server: { host: '127.0.0.1', port: 8080 },
      logLevel: 'info',
      database: { client: 'sqlite', filename: './data/dev.db' },
      quickbooks: {
        clientId: 'simulator-client-id',
        clientSecret: 'simulator-client-secret',
        environment: 'sandbox',
        redirectUri: 'http://localhost:8080/api/v1/oauth/quickbooks/callback',
        authorizeUrl: 'http://localhost:8090/connect/oauth2',
        tokenUrl: 'http://localhost:8090/oauth2/v1/tokens/bearer',
        revokeUrl: 'http://localhost:8090/v2/oauth2/tokens/revoke',
        apiBaseUrl: 'http://localhost:8090',
        timeoutMs: 10_000,
      },
      simulatorPort: 8090,
      encryptionKeys: [expect.stringMatching(/^[\w-]{43}=$/)],
      stateSecrets: [expect.stringMatching(/^[\w-]{32,}$/)],
      frontendUrl: 'http://localhost:5173',
    });
  });

  it('generates its secrets once, in a file that only its owner can read', () => {
    const first = loadConfig(DEVELOPMENT);
    const { encryptionKeys, stateSecrets } = loadConfig({ ...DEVELOPMENT, DATABASE_URL: 'sqlite::memory:' });
    expect({ encryptionKeys, stateSecrets }).toEqual({
      encryptionKeys: first.encryptionKeys,
      stateSecrets: first.stateSecrets,
    });
    const file = join(folder, 'data/development-secrets.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain(first.encryptionKeys[0]);
  });

  it('generates no secrets if both are given', () => {
    loadConfig({ ...DEVELOPMENT, ENCRYPTION_KEY: KEY, OAUTH_STATE_SECRET: SECRET });
    expect(() => statSync(join(folder, 'data'))).toThrow('ENOENT');
  });

  it.each(['0.0.0.0', '::', '192.168.1.2', 'db.internal'])('does not start on HOST %s', (HOST) => {
    expect(problemsOf({ ...DEVELOPMENT, HOST })).toEqual([
      'HOST must be a loopback address in development, such as 127.0.0.1',
    ]);
  });

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('starts on HOST %s', (HOST) => {
    expect(loadConfig({ ...DEVELOPMENT, HOST }).server.host).toBe(HOST);
  });

  it('does not start with QBO_ENVIRONMENT production', () => {
    expect(problemsOf({ ...DEVELOPMENT, ...KEY_PAIR, QBO_ENVIRONMENT: 'production' })).toEqual([
      'QBO_ENVIRONMENT must be sandbox in development',
    ]);
  });

  it('expects the simulator at SIMULATOR_PORT', () => {
    const { simulatorPort, quickbooks } = loadConfig({ ...DEVELOPMENT, SIMULATOR_PORT: '9090' });
    expect(simulatorPort).toBe(9090);
    expect(quickbooks).toMatchObject({
      tokenUrl: 'http://localhost:9090/oauth2/v1/tokens/bearer',
      apiBaseUrl: 'http://localhost:9090',
    });
  });

  it('uses PORT in the default redirect URI', () => {
    const { redirectUri } = loadConfig({ ...DEVELOPMENT, PORT: '9000' }).quickbooks;
    expect(redirectUri).toBe('http://localhost:9000/api/v1/oauth/quickbooks/callback');
  });

  it('uses Intuit’s sandbox if a key pair is set', () => {
    const { quickbooks, simulatorPort } = loadConfig({ ...DEVELOPMENT, ...KEY_PAIR });
    expect(simulatorPort).toBeUndefined();
    expect(quickbooks).toMatchObject({
      tokenUrl: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
      apiBaseUrl: 'https://sandbox-quickbooks.api.intuit.com',
    });
  });

  it.each(['QBO_CLIENT_ID', 'QBO_CLIENT_SECRET'])('does not start with only %s', (name) => {
    const other = name === 'QBO_CLIENT_ID' ? 'QBO_CLIENT_SECRET' : 'QBO_CLIENT_ID';
    expect(problemsOf({ ...DEVELOPMENT, [name]: 'given' })).toEqual([`${other} is required`]);
  });
});

describe('configuration in production', () => {
  it('starts with only the required variables, and uses Intuit’s own endpoints', () => {
    expect(loadConfig({ ...PRODUCTION, QBO_ENVIRONMENT: 'production' })).toMatchObject({
      production: true,
      server: { host: '0.0.0.0', port: 8080 },
      database: { client: 'mysql', host: 'db.internal', tls: { verifies: 'nothing' } },
      quickbooks: {
        authorizeUrl: 'https://appcenter.intuit.com/connect/oauth2',
        revokeUrl: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
        apiBaseUrl: 'https://quickbooks.api.intuit.com',
      },
    });
    expect(() => statSync(join(folder, 'data'))).toThrow('ENOENT');
  });

  it('names each missing variable in one line, whether it is unset or empty', () => {
    const lines = REQUIRED.map((name) => `${name} is required`).sort();
    const empty = Object.fromEntries(REQUIRED.map((name) => [name, '']));
    expect(problemsOf({ NODE_ENV, AUTH_DISABLED }).sort()).toEqual(lines);
    expect(problemsOf({ NODE_ENV, AUTH_DISABLED, ...empty }).sort()).toEqual(lines);
  });

  it.each(REQUIRED)('does not start without %s', (name) => {
    expect(problemsOf({ ...PRODUCTION, [name]: undefined })).toEqual([`${name} is required`]);
  });

  it.each([
    'QBO_REDIRECT_URI',
    'QBO_AUTHORIZE_URL',
    'QBO_TOKEN_URL',
    'QBO_REVOKE_URL',
    'QBO_API_BASE_URL',
    'FRONTEND_URL',
  ])('requires https for %s, unless its host is loopback', (name) => {
    for (const host of ['app.octup.com', 'localhost.octup.com', '127.0.0.1.nip.io', '10.0.0.1', '[::2]'])
      expect(problemsOf({ ...PRODUCTION, [name]: `http://${host}/x` })).toEqual([
        `${name} must be an https URL in production`,
      ]);
    for (const host of ['localhost:8080', '127.0.0.1:1', '127.1.2.3', '[::1]:8080'])
      expect(problemsOf({ ...PRODUCTION, [name]: `http://${host}/api/v1/oauth/quickbooks/callback` })).toEqual([]);
  });

  it.each([undefined, '', 'staging', 'Development', 'dev'])('applies if NODE_ENV is %j', (value) => {
    expect(loadConfig({ ...PRODUCTION, NODE_ENV: value })).toMatchObject({
      production: true,
      server: { host: '0.0.0.0' },
    });
    expect(problemsOf({ AUTH_DISABLED, NODE_ENV: value })).toHaveLength(REQUIRED.length);
  });

  it('rejects an in-memory database', () => {
    expect(problemsOf({ ...PRODUCTION, DATABASE_URL: 'sqlite::memory:' })).toEqual([
      expect.stringMatching(/^DATABASE_URL must not be sqlite::memory: in production/),
    ]);
    expect(problemsOf({ ...PRODUCTION, DATABASE_URL: 'sqlite:/data/live.db' })).toEqual([]);
  });
});

describe('the migrate commands', () => {
  it('require only DATABASE_URL, and nothing in development', () => {
    const { DATABASE_URL } = PRODUCTION;
    expect(loadDatabaseConfig({ DATABASE_URL, PORT: 'x', QBO_CLIENTID: 'x' })).toMatchObject({
      client: 'mysql',
      name: 'accounting',
    });
    expect(loadDatabaseConfig(DEVELOPMENT)).toEqual({ client: 'sqlite', filename: './data/dev.db' });
    expect(() => loadDatabaseConfig({})).toThrow('DATABASE_URL is required');
  });
});

describe('a variable that starts with QBO_ or AUTH_', () => {
  it.each([
    ['QBO_CLIENTID', 'QBO_CLIENT_ID'],
    ['AUTH_JWKS_URI', 'AUTH_JWKS_URL'],
    ['QBO_ENVIROMENT', 'QBO_ENVIRONMENT'],
  ])('prevents startup if it is misspelled as %s, with %s as a hint', (name, intended) => {
    expect(problemsOf({ ...PRODUCTION, [name]: 'canary' })).toEqual([
      `${name} is not a variable of this service: did you mean ${intended}?`,
    ]);
  });

  it('prevents startup without a hint if it resembles no variable', () => {
    expect(problemsOf({ ...PRODUCTION, QBO_WEBHOOK_VERIFIER: 'canary' })).toEqual([
      'QBO_WEBHOOK_VERIFIER is not a variable of this service',
    ]);
  });

  it('is ignored if it is empty', () => {
    expect(problemsOf({ ...PRODUCTION, QBO_CLIENTID: '' })).toEqual([]);
  });

  it('is ignored if Kubernetes sets it for another service called auth', () => {
    const links = ['AUTH_SERVICE_HOST', 'AUTH_SERVICE_PORT_HTTP', 'AUTH_PORT', 'AUTH_PORT_80_TCP_ADDR'];
    expect(problemsOf({ ...PRODUCTION, ...Object.fromEntries(links.map((name) => [name, 'x'])) })).toEqual([]);
  });
});

describe('the .env file', () => {
  afterEach(() => {
    rmSync('.env');
    delete process.env['FROM_FILE'];
    delete process.env['ALSO_FROM_FILE'];
  });

  it('completes the environment, which takes precedence', () => {
    process.env['FROM_FILE'] = 'shell';
    writeFileSync('.env', 'FROM_FILE=file\nALSO_FROM_FILE="of the file" # comment\n');
    expect(readEnvironment()).toMatchObject({ FROM_FILE: 'shell', ALSO_FROM_FILE: 'of the file' });
  });

  it('completes variables that are set to nothing', () => {
    process.env['FROM_FILE'] = '';
    writeFileSync('.env', 'FROM_FILE=file\n');
    expect(readEnvironment()).toMatchObject({ FROM_FILE: 'file' });
  });

  it('may start with a byte order mark and have Windows line endings', () => {
    writeFileSync('.env', '\uFEFFFROM_FILE=first\r\nALSO_FROM_FILE=second\r\n');
    expect(readEnvironment()).toMatchObject({ FROM_FILE: 'first', ALSO_FROM_FILE: 'second' });
  });

  it('prevents startup if it is UTF-16', () => {
    writeFileSync('.env', Buffer.from('\uFEFFFROM_FILE=first\r\n', 'utf16le'));
    expect(readEnvironment).toThrow('.env is not UTF-8 text');
  });
});
