import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/config/config.ts';
import { environmentSchema } from '../../src/config/environment-schema.ts';
import { KEY, PRODUCTION, problemsOf, SECRET } from '../support/variables.ts';

/** The other variables whose values are text. */
const OPTIONAL = {
  PORT: '8081',
  METRICS_PORT: '9090',
  KEEP_ALIVE_TIMEOUT_MS: '70000',
  SHUTDOWN_DELAY_MS: '5000',
  HOST: '10.0.0.1',
  LOG_LEVEL: 'debug',
  QBO_AUTHORIZE_URL: 'https://proxy.octup.com/authorize',
  QBO_TOKEN_URL: 'https://proxy.octup.com/token',
  QBO_REVOKE_URL: 'https://proxy.octup.com/revoke',
  QBO_API_BASE_URL: 'https://proxy.octup.com/api',
  CONNECT_CONFIRMATION: 'true',
  AUTH_DISABLED: 'false',
  API_KEYS: `billing:${SECRET}`,
  AUTH_JWKS_URL: 'https://id.octup.com/keys',
  AUTH_ISSUER: 'https://id.octup.com/',
  AUTH_AUDIENCE: 'accounting',
  AUTH_ORGANIZATION_CLAIM: 'organization',
  AUTH_AUDIENCE_CLAIM: 'client_id',
  AUTH_SCOPES: 'true',
  RATE_LIMIT_PER_MINUTE: '10',
  WORKER_ENABLED: 'false',
  VERIFY_IDLE_HOURS: '2',
  PROVIDER_TIMEOUT_MS: '2000',
  GATEWAY_TIMEOUT_MS: '120000',
  COMPANY_LIMIT_PER_SECOND: '10',
  COMPANY_LIMIT_PER_MINUTE: '0',
  SIMULATOR_PORT: '9000',
  REDIS_URL: 'redis://:secret@redis:6379/1',
  TRUST_PROXY: '2',
  HTTPS_PROXY: 'http://user:secret@proxy:3128',
  HTTP_PROXY: 'https://proxy',
  NO_PROXY: 'octup.com,10.0.0.0/8',
  EVENTS_WEBHOOK_URL: 'https://app.octup.com/events',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
  EVENTS_WEBHOOK_SECRET: `whsec_${KEY.replaceAll('-', '+').replaceAll('_', '/')}`,
};

describe('the environment schema', () => {
  it.each([
    ['PORT', ['0x50', '65536', '-1', '80.5', 'http', '8 0', '1e3', '99999999999999999999']],
    ['SIMULATOR_PORT', ['0', '65536', 'http']],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', ['collector:4318', 'grpc://collector:4317', 'http://user:pa55word@collector']],
    ['LOG_LEVEL', ['loud', 'INFO']],
    [
      'DATABASE_URL',
      ['postgres://h/d', 'mysql://user:pa55word@', 'mysql://h', 'mysql://h/', 'sqlite:', 'dev.db', 'mysql:'],
    ],
    ['QBO_ENVIRONMENT', ['live', 'Sandbox']],
    [
      'QBO_REDIRECT_URI',
      ['octup', 'ftp://h/x', 'https://u:pa55word@h/x', 'https://:pa55word@h/x', 'https://h/x?y=1', 'https://h/x#y'],
    ],
    [
      'QBO_REDIRECT_URI',
      ['https://h/x?', 'https://h/x#', 'https://h/ x', 'https://h/\nx', 'https:h', 'javascript:alert(1)'],
    ],
    ['QBO_TOKEN_URL', ['oauth.intuit.com', '//h/x']],
    ['QBO_API_BASE_URL', ['https://h/?x=1']],
    ['FRONTEND_URL', ['app.octup.com', '*', 'https://h?x', 'https://h,', 'https://h, http://other.example']],
    ['FRONTEND_URL', ['https://h",https://other.example', 'https://h,"https://h2",https://h3']],
    ['CONNECT_CONFIRMATION', ['yes', '1']],
    ['ENCRYPTION_KEY', ['short', KEY.slice(1), `${KEY},`, `${KEY},short`, '0'.repeat(64)]],
    ['OAUTH_STATE_SECRET', ['x'.repeat(31), `${SECRET},short`, `${SECRET},`]],
    ['VERIFY_IDLE_HOURS', ['-1', '8761', '1.5', '1d']],
    ['OAUTH_STATE_SECRET', [`"${SECRET}","${SECRET}2"`, `${SECRET},"${SECRET}2",${SECRET}3`]],
    ['QBO_CLIENT_ID', ['the client', 'client\u200b', 'client\nclient']],
    ['QBO_CLIENT_SECRET', ['the secret', 'first\nsecond']],
    ['KEEP_ALIVE_TIMEOUT_MS', ['0', '999', '65s', '3600001']],
    ['SHUTDOWN_DELAY_MS', ['-1', '300001', '5s']],
    ['AUTH_ORGANIZATION_CLAIM', ['organization id']],
    ['PROVIDER_TIMEOUT_MS', ['0', '99', '60001', '10s', '1000.5']],
    ['GATEWAY_TIMEOUT_MS', ['0', '99', '600001', '2m']],
    ['COMPANY_LIMIT_PER_SECOND', ['-1', '100001', '10/s', '1.5']],
    ['COMPANY_LIMIT_PER_MINUTE', ['-1', '1000001', 'none']],
  ])('rejects invalid values of %s without quoting them: %j', (name, values) => {
    for (const value of values) {
      const problems = problemsOf({ ...PRODUCTION, [name]: value });
      expect([value, problems]).toEqual([value, [expect.stringMatching(new RegExp(`^${name} \\S`))]]);
      expect(problems.join()).not.toContain('pa55word');
      if (value.length > 8) expect(problems.join()).not.toContain(value);
    }
  });

  it.each([
    [{ METRICS_PORT: '9090' }, 9090],
    [{ METRICS_PORT: '' }, undefined],
  ])('has a port for metrics only if one is set: %j', (given, metricsPort) => {
    expect(loadConfig({ ...PRODUCTION, ...given }).server).toMatchObject({ port: 8080, metricsPort });
  });

  it('rejects METRICS_PORT if it is the port of everything else', () => {
    for (const given of [{ METRICS_PORT: '8080' }, { METRICS_PORT: '9090', PORT: '9090' }]) {
      expect(problemsOf({ ...PRODUCTION, ...given })).toEqual(['METRICS_PORT must not be PORT']);
    }
  });

  it('reports all invalid variables at once, each in one line', () => {
    const problems = problemsOf({ ...PRODUCTION, PORT: 'x', ENCRYPTION_KEY: 'short', FRONTEND_URL: 'x' });
    expect(problems.map((line) => line.split(' ')[0]).sort()).toEqual(['ENCRYPTION_KEY', 'FRONTEND_URL', 'PORT']);
    expect(problems.join('\n')).not.toContain('short');
  });

  it.each([
    ['another path', 'https://h/oauth/callback'],
    ['a trailing slash', 'https://h/api/v1/oauth/quickbooks/callback/'],
    ['another provider', 'https://h/api/v1/oauth/xero/callback'],
    ['more before its first slash', 'https://h/prefixapi/v1/oauth/quickbooks/callback'],
  ])('rejects a QBO_REDIRECT_URI that is not the callback: %s', (_, QBO_REDIRECT_URI) => {
    expect(problemsOf({ ...PRODUCTION, QBO_REDIRECT_URI })).toEqual([
      'QBO_REDIRECT_URI must end with /api/v1/oauth/quickbooks/callback',
    ]);
  });

  it('accepts a QBO_REDIRECT_URI below the prefix of a proxy', () => {
    const QBO_REDIRECT_URI = 'https://octup.com/accounting/api/v1/oauth/quickbooks/callback';
    expect(loadConfig({ ...PRODUCTION, QBO_REDIRECT_URI }).quickbooks.redirectUri).toBe(QBO_REDIRECT_URI);
  });

  it('accepts several FRONTEND_URLs, of which the first is the default', () => {
    const { frontendUrl, frontendUrls } = loadConfig({
      ...PRODUCTION,
      FRONTEND_URL: 'https://a.example/, https://b.example/x/',
    });
    expect([frontendUrl, frontendUrls]).toEqual(['https://a.example', ['https://a.example', 'https://b.example/x']]);
  });

  it('keeps the path of FRONTEND_URL and drops its trailing slash', () => {
    expect(loadConfig({ ...PRODUCTION, FRONTEND_URL: 'https://octup.com/app/' }).frontendUrl).toBe(
      'https://octup.com/app',
    );
  });

  it('accepts several keys and secrets, and keeps their order', () => {
    const config = loadConfig({
      ...PRODUCTION,
      ENCRYPTION_KEY: `${KEY}, ${KEY}`,
      OAUTH_STATE_SECRET: `${SECRET},${SECRET}2`,
    });
    expect(config.encryptionKeys).toEqual([KEY, KEY]);
    expect(config.stateSecrets).toEqual([SECRET, `${SECRET}2`]);
  });

  it.each([
    ['whitespace', (value: string) => ` \t${value}\r\n`],
    ['quotation marks', (value: string) => `"${value}"`],
    ['apostrophes and whitespace', (value: string) => ` '${value}\n' `],
  ])('removes %s around the value of every variable', (_, surround) => {
    const all = { ...PRODUCTION, ...OPTIONAL };
    const surrounded = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, surround(value)]));
    expect(loadConfig(surrounded)).toEqual(loadConfig(all));
  });

  it('knows every variable in the tests above', () => {
    const known = Object.keys(environmentSchema(true).shape).sort();
    expect(Object.keys({ ...PRODUCTION, ...OPTIONAL }).sort()).toEqual(known);
  });

  it('treats a value of nothing but whitespace and quotation marks as unset', () => {
    for (const REDIS_URL of [' ', '""', "' '", '\n']) expect(problemsOf({ ...PRODUCTION, REDIS_URL })).toEqual([]);
    expect(problemsOf({ ...PRODUCTION, DATABASE_URL: '""' })).toEqual(['DATABASE_URL is required']);
  });

  it.each(Object.keys(PRODUCTION).filter((name) => name !== 'NODE_ENV' && name !== 'AUTH_DISABLED'))(
    'rejects %s that begins or ends with a quotation mark',
    (name) => {
      const value = PRODUCTION[name as keyof typeof PRODUCTION];
      for (const stray of [`"${value}`, `${value}'`, `"${value}'`]) {
        const problems = problemsOf({ ...PRODUCTION, [name]: stray });
        expect(problems).toEqual([`${name} begins or ends with a quotation mark: remove it`]);
      }
    },
  );

  it.each([
    ['24 hours by default', undefined, 24 * 3_600_000],
    ['the given hours', '2', 2 * 3_600_000],
    ['never at 0', '0', undefined],
  ])('reads when an idle connection is verified: %s', (_, VERIFY_IDLE_HOURS, milliseconds) => {
    expect(loadConfig({ ...PRODUCTION, VERIFY_IDLE_HOURS }).verifyIdleMs).toBe(milliseconds);
  });

  it('accepts other endpoints of the provider', () => {
    const { quickbooks } = loadConfig({
      ...PRODUCTION,
      QBO_API_BASE_URL: 'https://proxy/qbo/',
      QBO_TOKEN_URL: 'https://proxy/t',
    });
    expect(quickbooks).toMatchObject({ apiBaseUrl: 'https://proxy/qbo', tokenUrl: 'https://proxy/t' });
  });
});
