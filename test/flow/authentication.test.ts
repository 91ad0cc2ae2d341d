import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent, send } from '../support/send.ts';
import { startService } from '../support/service.ts';

/** Everything below /api/v1 and /v3 but the callback, in every spelling that a router might mistake for it. */
const PROTECTED = [
  ['GET', `${PREFIX}/connect/acme`],
  ['POST', `${PREFIX}/connect/acme`],
  ['GET', `${PREFIX}/status/acme`],
  ['HEAD', `${PREFIX}/status/acme`],
  ['POST', `${PREFIX}/disconnect/acme`],
  ['GET', '/api/v1/quickbooks/acme/companyinfo/1'],
  ['POST', '/api/v1/quickbooks/acme/invoice'],
  ['GET', '/v3/company/acme/companyinfo/1'],
  ['GET', '/api/v1'],
  ['GET', '/v3/'],
  ['GET', '/api/v1/a/future/route'],
  ['DELETE', '/v3/anything'],
  ['TRACE', `${PREFIX}/status/acme`],
  ['GET', `/API/V1/oauth/QuickBooks/status/acme`],
  ['GET', `${PREFIX}/status/acme/`],
  ['GET', '/api/v1//oauth/quickbooks/status/acme'],
  ['GET', `${PREFIX}/%73tatus/acme`],
  ['GET', `${PREFIX}/callback/../status/acme`],
  ['GET', `${PREFIX}/callback/acme`],
  ['GET', `${PREFIX}/status/callback`],
  ['GET', `${PREFIX}/status/acme?link=x`],
  ['GET', `http://any.example${PREFIX}/status/acme`],
  ['GET', `${PREFIX}/connect/%E0%A4%A`],
] as const;
const OUTSIDE = [
  '//api/v1/oauth/quickbooks/status/acme',
  '/%61pi/v1/oauth/quickbooks/status/acme',
  '/x/../api/v1',
  '/api',
];

const env: Record<string, string> = {};
let keySet: KeySet;
beforeAll(async () => {
  keySet = await startKeySet();
  Object.assign(env, WITH_KEYS, keySet.env);
});
const harness = useHarness(createSqlite, { env });
afterAll(() => keySet.close());

const call = (path: string, token?: string, method = 'GET') =>
  send(harness.service.origin, path, { method, headers: token ? bearer(token) : {} });

describe('a request without credentials', () => {
  it.each(PROTECTED)('returns 401 for %s %s', async (method, path) => {
    expectUnauthorized(await call(path, undefined, method), method);
  });

  it.each(PROTECTED)('would not return 401 with an API key for %s %s', async (method, path) => {
    expect((await call(path, KEYS.billing, method)).status).not.toBe(401);
  });

  it.each(OUTSIDE)('finds nothing at %s, like a request with an API key', async (path) => {
    for (const token of [undefined, KEYS.billing]) expect(problemOf(await call(path, token))).toBe('not_found');
  });

  it.each(['/healthz', '/readyz'])('is accepted at %s', async (path) => {
    expect((await call(path)).status).toBe(200);
  });

  it('is accepted at the callback, which validates its parameters', async () => {
    for (const token of [undefined, 'wrong']) {
      expect(problemOf(await call(`${PREFIX}/callback`, token))).toBe('invalid_request');
    }
    expect((await call(`${PREFIX}/callback`, undefined, 'HEAD')).status).toBe(405);
    expect(problemOf(await call(`${PREFIX}/callback`, undefined, 'POST'))).toBe('method_not_allowed');
  });
});

describe('a request with', () => {
  it.each([
    ['an API key', KEYS.reports, 200],
    ['a wrong API key', `${KEYS.reports}x`, 401],
    ['a token that is neither key nor JWT', 'x.y.z', 401],
  ])('%s returns the same for every organization', async (_, token, status) => {
    for (const organization of ['acme', 'globex']) {
      expect((await call(`${PREFIX}/status/${organization}`, token)).status).toBe(status);
    }
  });

  it.each(['GET /status', 'POST /connect', 'GET /connect', 'POST /disconnect'])(
    'a user’s JWT returns 403 for another organization: %s',
    async (text) => {
      const [method = '', path] = text.split(' ');
      const token = await keySet.sign();
      expect((await call(`${PREFIX}${path}/acme`, token, method)).status).toBeLessThan(400);
      for (const other of ['globex', 'ACME', 'acme-']) {
        const response = await call(`${PREFIX}${path}/${other}`, token, method);
        expect([response.status, problemOf(response)]).toEqual([403, 'forbidden']);
      }
    },
  );

  it.each(['/api/v1/quickbooks', '/v3/company'])(
    'a user’s JWT returns 403 for another organization’s company at %s',
    async (path) => {
      const token = await keySet.sign();
      expect(problemOf(await call(`${path}/acme/companyinfo/1`, token))).toBe('connection_not_found');
      expect(problemOf(await call(`${path}/globex/companyinfo/1`, token))).toBe('forbidden');
    },
  );

  it.each([
    [undefined, 'no_organization'],
    ['', 'no_organization'],
    [7, 'no_organization'],
    [[], 'no_organization'],
    [[['acme']], 'no_organization'],
    [['globex'], 'other_organization'],
  ])('a JWT whose organization is %j returns 403, and only the log says which claim is why', async (claim, reason) => {
    const before = harness.logs.length;
    const response = await call(`${PREFIX}/status/acme`, await keySet.sign({ organization_id: claim }));
    expect(problemOf(response)).toBe('forbidden');
    expect(response.body).not.toMatch(/organization_id|_organization/);
    expect(harness.logs.slice(before).map((line) => JSON.parse(line))).toMatchObject([
      { route: `${PREFIX}/status/:organization_id`, status: 403, reason: `${reason} organization_id` },
    ]);
  });

  it('a JWT that names several organizations returns 200 for each of them', async () => {
    const response = await call(`${PREFIX}/status/acme`, await keySet.sign({ organization_id: ['globex', 'acme'] }));
    expect(response.status).toBe(200);
  });

  it.each([
    ['an API key is logged with the key’s name', async () => KEYS.billing, 'billing'],
    ['a JWT is logged with its subject', async () => keySet.sign(), 'user-7'],
  ])('%s', async (_, token, actor) => {
    const before = harness.logs.length;
    await call(`${PREFIX}/status/acme`, await token());
    expect(harness.logs.slice(before).map((line) => JSON.parse(line))).toMatchObject([{ actor, status: 200 }]);
  });

  it('credentials leaves them in no log line and no response', () => {
    const { logs, responses } = harness.service;
    const visible = [...logs, ...responses.map((response) => JSON.stringify(response))].join();
    for (const secret of [...Object.values(KEYS), 'eyJhbGciOi']) expect(visible).not.toContain(secret);
  });

  it('a JWT returns 503 if the key set cannot be fetched, while API keys still work', async () => {
    const broken = await startKeySet();
    broken.response = 'broken';
    const other = await startService({
      databaseUrl: 'sqlite::memory:',
      simulator: harness.simulator,
      env: { ...WITH_KEYS, ...broken.env },
    });
    const path = `${PREFIX}/status/acme`;
    const response = await send(other.origin, path, { headers: bearer(await broken.sign()) });
    expect([response.status, problemOf(response)]).toEqual([503, 'service_unavailable']);
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d?$/);
    expect((await send(other.origin, path, { headers: bearer(KEYS.billing) })).status).toBe(200);
    await other.close();
    await broken.close();
  });
});

function expectUnauthorized(response: Sent, method: string): void {
  const { status, headers } = response;
  expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
  expect(headers).toMatchObject({ 'cache-control': 'no-cache, no-store', 'x-request-id': expect.any(String) });
  if (method !== 'HEAD') expect(problemOf(response)).toBe('unauthorized');
  expect(headers).not.toHaveProperty('set-cookie');
}
