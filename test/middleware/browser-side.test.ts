import { describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { PREFIX } from '../support/requests.ts';
import { type Sent, send } from '../support/send.ts';
import { useStage } from '../support/stage.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';
const CALLBACK = 'https://api.octup.com/api/v1/oauth/quickbooks/callback';
const HOSTILE = `"><script>alert(1)</script>`;

describe('in front of a browser', () => {
  const stage = useStage(createSqlite, { ...WITH_KEYS, NODE_ENV: 'production', QBO_REDIRECT_URI: CALLBACK });
  const browse = (path: string, method = 'GET', headers: Record<string, string> = {}) =>
    send(stage.service.origin, PREFIX + path, { method, headers: { Accept: CHROME, ...headers } });

  it.each([
    ['no credentials', '/connect/acme', 401, {}],
    ['a link that is none', `/connect/acme?link=${encodeURIComponent(HOSTILE)}`, 401, {}],
    ['an organization that is none', `/connect/${encodeURIComponent(HOSTILE)}`, 400, bearer(KEYS.billing)],
    ['a path that cannot be decoded', '/connect/%E0%A4%A', 400, bearer(KEYS.billing)],
    ['a large body', '/callback', 413, { 'Content-Length': '1048577' }],
    ['an unknown error without a state', `/callback?error=${encodeURIComponent(HOSTILE)}`, 400, {}],
    ['a hostile error', `/callback?error=${encodeURIComponent(HOSTILE)}&state=${encodeURIComponent(HOSTILE)}`, 400, {}],
    ['a hostile realm', `/callback?state=x&code=c&realmId=${encodeURIComponent(HOSTILE)}`, 400, {}],
  ] as [string, string, number, Record<string, string>][])('%s is a page', async (_, path, status, headers) => {
    expectPage(await browse(path, 'GET', headers), status);
  });

  it.each([
    [
      'a POST of another origin',
      'POST',
      '/connect/acme',
      403,
      { ...bearer(KEYS.billing), Origin: 'https://evil.example' },
    ],
    ['a method that is not used', 'DELETE', '/connect/acme', 405, bearer(KEYS.billing)],
    ['TRACE', 'TRACE', '/connect/acme', 405, bearer(KEYS.billing)],
    ['a database that nobody migrated', 'GET', '/connect/acme?link=', 503, {}],
  ] as [string, string, string, number, Record<string, string>][])(
    '%s is a page',
    async (_, method, path, status, headers) => {
      expectPage(await browse(path.endsWith('link=') ? path + (await link()) : path, method, headers), status);
    },
  );

  it('a page’s text is for a person: it names no credentials’ scheme and no code of ours', async () => {
    for (const path of ['/connect/acme', '/connect/acme?link=x', '/callback?state=x&code=c&realmId=1']) {
      const { body } = await browse(path);
      expect(body).not.toMatch(/bearer|unauthorized|invalid_state|jwt|api key/i);
      expect(body).toMatch(/href="http:\/\/localhost:5173\/settings\/integrations"/);
    }
  });

  it('the cookie is for https, for this callback and for scripts not at all', async () => {
    const { headers } = await browse('/connect/acme', 'GET', bearer(KEYS.billing));
    const [cookie = ''] = [headers['set-cookie'] ?? []].flat();
    expect(cookie).toMatch(/^__Secure-oauth_[\w-]{16}=[\w-]{22}; /);
    for (const attribute of ['HttpOnly', 'Secure', 'SameSite=Lax', `Path=${new URL(CALLBACK).pathname}`])
      expect(cookie.split('; ')).toContain(attribute);
    expect(cookie).not.toMatch(/domain=/i);
  });

  async function link(): Promise<string> {
    const headers = bearer(KEYS.billing);
    const { body } = await send(stage.service.origin, `${PREFIX}/connect/acme`, { method: 'POST', headers });
    const { connect_url } = JSON.parse(body);
    expect(connect_url).toMatch(/^https:\/\/api\.octup\.com\/api\/v1\/oauth\/quickbooks\/connect\/acme\?link=/);
    return new URL(connect_url).searchParams.get('link') ?? '';
  }
});

describe('every answer of a closed service', () => {
  const stage = useStage(createSqlite, WITH_KEYS);

  it.each(['/api/v1/made/up', `${PREFIX}/status/acme`, '/v3/company/acme/query', '/nowhere', '/healthz'])(
    'has the headers of the others, and asks for no https in development: %s',
    async (path) => {
      for (const headers of [{}, bearer(KEYS.billing)]) {
        const answer = await send(stage.service.origin, path, { headers });
        expectHeaders(answer);
        expect(answer.headers).not.toHaveProperty('strict-transport-security');
      }
    },
  );

  it.each(['TRACE', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'is 405 to %s, and allows what is used',
    async (method) => {
      const headers = bearer(KEYS.billing);
      const paths = { connect: 'GET, POST', status: 'GET, HEAD', disconnect: 'POST' };
      for (const [path, allow] of Object.entries(paths)) {
        const answer = await send(stage.service.origin, `${PREFIX}/${path}/acme`, { method, headers });
        expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
      }
    },
  );
});

function expectHeaders({ headers }: Sent): void {
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-request-id': expect.any(String),
    'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/),
  });
  expect(headers).not.toHaveProperty('x-powered-by');
}

function expectPage(answer: Sent, status: number): void {
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/html; charset=utf-8']);
  expectHeaders(answer);
  expect(answer.headers['strict-transport-security']).toMatch(/^max-age=\d{8}/);
  expect(answer.headers['vary']).toMatch(/Accept/);
  expect(answer.body).toContain(String(answer.headers['x-request-id']));
  expect(answer.body).not.toMatch(/<script|alert\(1\)|<img| on\w+=/i);
  if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer');
  if (status === 503) expect(answer.headers['retry-after']).toMatch(/^\d+$/);
}
