import { describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent, send } from '../support/send.ts';
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
    ['missing credentials', '/connect/acme', 'unauthorized', {}],
    ['an invalid link', `/connect/acme?link=${encodeURIComponent(HOSTILE)}`, 'unauthorized', {}],
    ['an invalid organization', `/connect/${encodeURIComponent(HOSTILE)}`, 'invalid_request', bearer(KEYS.billing)],
    ['a path that cannot be decoded', '/connect/%E0%A4%A', 'invalid_request', bearer(KEYS.billing)],
    [
      'a foreign return page',
      '/connect/acme?return_url=https://evil.example/',
      'invalid_request',
      bearer(KEYS.billing),
    ],
    ['a large body', '/callback', 'payload_too_large', { 'Content-Length': '999999999' }],
    ['a start from Intuit’s store, without a state', '/callback?code=c&realmId=1', 'invalid_request', {}],
    ['a hostile error', `/callback?error=${encodeURIComponent(HOSTILE)}&state=x`, 'invalid_state', {}],
    ['a hostile realm ID', `/callback?state=x&code=c&realmId=${encodeURIComponent(HOSTILE)}`, 'invalid_request', {}],
  ] as [string, string, string, Record<string, string>][])(
    'is redirected to the frontend for %s',
    async (_, path, code, headers) => {
      expectReturned(await browse(path, 'GET', headers), code);
    },
  );

  it('is redirected to the frontend if the database is not migrated', async () => {
    const database = await createSqlite();
    const service = await startService({ databaseUrl: database.url, simulator: harness.simulator, env: PRODUCTION });
    expectReturned(await browse(`/connect/acme?link=${await createLink()}`, 'GET', {}, service), 'service_unavailable');
    await service.close();
    await database.drop();
  });

  it.each(['*/*', 'application/json', 'application/json, text/html;q=0.9', 'text/plain', ''])(
    'is no client that accepts %j: it gets a problem',
    async (accept) => {
      const response = await browse('/callback', 'GET', { Accept: accept });
      expect([response.status, problemOf(response)]).toEqual([400, 'invalid_request']);
      expect(response.headers['vary']).toMatch(/Accept/);
    },
  );

  it.each([
    'POST /connect/acme',
    'DELETE /connect/acme',
    'TRACE /callback',
    'GET /status/acme',
    'GET /disconnected/x',
    'GET /callback/x',
  ])('gets a problem for %s, which no browser opens', async (request) => {
    const [method, path = ''] = request.split(' ');
    expect((await browse(path, method)).headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('learns from the problem’s text where to start, if its callback has no state', async () => {
    const { body } = await send(harness.service.origin, `${PREFIX}/callback?code=c&realmId=1`);
    expect(JSON.parse(body).detail).toBe('state is required. Please start from http://localhost:5173');
  });

  it('opens connect and callback in a popup that keeps its opener', async () => {
    for (const path of ['/connect/acme', '/callback?state=x'])
      expect((await browse(path)).headers['cross-origin-opener-policy']).toBe('unsafe-none');
    expect((await browse('/status/acme')).headers['cross-origin-opener-policy']).toBe('same-origin');
  });

  it('gets a cookie that only https requests to this host carry, that no script can read, and no other host can set', async () => {
    const { headers } = await browse('/connect/acme', 'GET', bearer(KEYS.billing));
    const [cookie = ''] = [headers['set-cookie'] ?? []].flat();
    expect(cookie).toMatch(/^__Host-oauth_[\w-]{16}=[\w-]{22}; /);
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', 'Path=/'])
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
    'cache-control': 'no-cache, no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-request-id': expect.any(String),
    'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
  });
  expect(headers).not.toHaveProperty('x-powered-by');
}

function expectReturned(response: Sent, code: string): void {
  const { status, headers, body } = response;
  const page = 'http://localhost:5173/settings/integrations';
  expect([status, headers['location'], body, headers['content-type']]).toEqual([
    302,
    `${page}?connected=false&system=quickbooks&error=${code}&request_id=${headers['x-request-id']}`,
    '',
    undefined,
  ]);
  expectSecurityHeaders(response);
  expect(headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
  expect(headers['vary']).toMatch(/Accept/);
  for (const name of ['retry-after', 'www-authenticate', 'set-cookie']) expect(headers).not.toHaveProperty(name);
}
