import { describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { PREFIX } from '../support/requests.ts';
import { type Sent, send } from '../support/send.ts';
import { startService } from '../support/service.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';
const CALLBACK = 'https://api.octup.com/api/v1/oauth/quickbooks/callback';
const HOSTILE = `"><script>alert(1)</script>`;
const PRODUCTION = { ...WITH_KEYS, NODE_ENV: 'production', QBO_REDIRECT_URI: CALLBACK };

describe('a browser', () => {
  const harness = useHarness(createSqlite, { env: PRODUCTION });
  const browse = (path: string, method = 'GET', headers: Record<string, string> = {}, service = harness.service) =>
    send(service.origin, PREFIX + path, { method, headers: { Accept: CHROME, ...headers } });

  it.each([
    ['missing credentials', '/connect/acme', 401, {}],
    ['an invalid link', `/connect/acme?link=${encodeURIComponent(HOSTILE)}`, 401, {}],
    ['an invalid organization', `/connect/${encodeURIComponent(HOSTILE)}`, 400, bearer(KEYS.billing)],
    ['a path that cannot be decoded', '/connect/%E0%A4%A', 400, bearer(KEYS.billing)],
    ['a large body', '/callback', 413, { 'Content-Length': '1048577' }],
    ['an unknown error without a state', `/callback?error=${encodeURIComponent(HOSTILE)}`, 400, {}],
    ['a hostile error', `/callback?error=${encodeURIComponent(HOSTILE)}&state=${encodeURIComponent(HOSTILE)}`, 400, {}],
    ['a hostile realm ID', `/callback?state=x&code=c&realmId=${encodeURIComponent(HOSTILE)}`, 400, {}],
  ] as [string, string, number, Record<string, string>][])('gets a page for %s', async (_, path, status, headers) => {
    expectPage(await browse(path, 'GET', headers), status);
  });

  it.each([
    ['a POST from another origin', 'POST', 403, { Origin: 'https://evil.example' }],
    ['an unsupported method', 'DELETE', 405, {}],
    ['TRACE', 'TRACE', 405, {}],
  ] as [string, string, number, Record<string, string>][])('gets a page for %s', async (_, method, status, headers) => {
    expectPage(await browse('/connect/acme', method, { ...bearer(KEYS.billing), ...headers }), status);
  });

  it('gets a page if the database is not migrated', async () => {
    const database = await createSqlite();
    const service = await startService({ databaseUrl: database.url, simulator: harness.simulator, env: PRODUCTION });
    expectPage(await browse(`/connect/acme?link=${await createLink()}`, 'GET', {}, service), 503);
    await service.close();
    await database.drop();
  });

  it('gets pages written for people, without error codes or names of credentials', async () => {
    for (const path of ['/connect/acme', '/connect/acme?link=x', '/callback?state=x&code=c&realmId=1']) {
      const { body } = await browse(path);
      expect(body).not.toMatch(/bearer|unauthorized|invalid_state|jwt|api key/i);
      expect(body).toMatch(/href="http:\/\/localhost:5173\/settings\/integrations"/);
    }
  });

  it('gets a cookie that only https requests to the callback carry, and that no script can read', async () => {
    const { headers } = await browse('/connect/acme', 'GET', bearer(KEYS.billing));
    const [cookie = ''] = [headers['set-cookie'] ?? []].flat();
    expect(cookie).toMatch(/^__Secure-oauth_[\w-]{16}=[\w-]{22}; /);
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', `Path=${new URL(CALLBACK).pathname}`])
      expect(cookie.split('; ')).toContain(attribute);
    expect(cookie).not.toMatch(/domain=/i);
  });

  async function createLink(): Promise<string> {
    const headers = bearer(KEYS.billing);
    const { body } = await send(harness.service.origin, `${PREFIX}/connect/acme`, { method: 'POST', headers });
    const { connect_url } = JSON.parse(body);
    expect(connect_url).toMatch(/^https:\/\/api\.octup\.com\/api\/v1\/oauth\/quickbooks\/connect\/acme\?link=/);
    return new URL(connect_url).searchParams.get('link') ?? '';
  }
});

describe('a service that requires credentials', () => {
  const harness = useHarness(createSqlite, { env: WITH_KEYS });

  it.each(['/api/v1/made/up', `${PREFIX}/status/acme`, '/v3/company/acme/query', '/nowhere', '/healthz'])(
    'sends the security headers, and in development no HSTS, with %s',
    async (path) => {
      for (const headers of [{}, bearer(KEYS.billing)]) {
        const response = await send(harness.service.origin, path, { headers });
        expectSecurityHeaders(response);
        expect(response.headers).not.toHaveProperty('strict-transport-security');
      }
    },
  );

  it.each(['TRACE', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'rejects %s with 405 and the methods that are allowed',
    async (method) => {
      const headers = bearer(KEYS.billing);
      const paths = { connect: 'GET, POST', status: 'GET, HEAD', disconnect: 'POST' };
      for (const [path, allow] of Object.entries(paths)) {
        const response = await send(harness.service.origin, `${PREFIX}/${path}/acme`, { method, headers });
        expect([response.status, response.headers['allow']]).toEqual([405, allow]);
      }
    },
  );
});

function expectSecurityHeaders({ headers }: Sent): void {
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-request-id': expect.any(String),
    'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
  });
  expect(headers).not.toHaveProperty('x-powered-by');
}

function expectPage(response: Sent, status: number): void {
  expect([response.status, response.headers['content-type']]).toEqual([status, 'text/html; charset=utf-8']);
  expectSecurityHeaders(response);
  expect(response.headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
  expect(response.headers['vary']).toMatch(/Accept/);
  expect(response.body).toContain(String(response.headers['x-request-id']));
  expect(response.body).not.toMatch(/<script|alert\(1\)|<img| on\w+=/i);
  if (status === 401) expect(response.headers['www-authenticate']).toBe('Bearer');
  if (status === 503) expect(response.headers['retry-after']).toMatch(/^\d+$/);
}
