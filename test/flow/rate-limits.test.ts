import { describe, expect, it } from '@jest/globals';
import { KEYS } from '../support/credentials.ts';
import { allowed, fresh, LIMIT, useLimitedService } from '../support/limited-service.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent } from '../support/send.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const CONNECT = ['GET', `${PREFIX}/connect/acme`];
const CALLBACK = ['GET', `${PREFIX}/callback?state=x`];
const LINK = ['POST', `${PREFIX}/connect/acme`];
const DISCONNECT = ['POST', `${PREFIX}/disconnect/acme`];
const STATUS = ['GET', `${PREFIX}/status/acme`];
const CONNECTIONS = ['GET', `${PREFIX}/connections`];
const GATEWAY = ['GET', '/api/v1/quickbooks/acme/companyinfo/1'];
const NATIVE_GATEWAY = ['POST', '/v3/company/acme/invoice'];

const { begin, call, user } = useLimitedService();

describe('a rate limit', () => {
  it.each([
    ['GET connect', CONNECT, 302, LIMIT],
    ['the callback', CALLBACK, 400, LIMIT],
    ['POST connect', LINK, 201, LIMIT],
    ['disconnect', DISCONNECT, 200, LIMIT],
    ['status', STATUS, 200, 10 * LIMIT],
    ['all connections', CONNECTIONS, 200, LIMIT],
    ['the gateway', GATEWAY, 404, 10 * LIMIT],
    ['the gateway at QuickBooks’ own path', NATIVE_GATEWAY, 404, 10 * LIMIT],
    ['status of an invalid organization', ['GET', `${PREFIX}/status/a.b`], 400, 10 * LIMIT],
  ])('is in the headers of every response, an error too: %s', async (_, route, status, limit) => {
    await begin();
    const response = await call(route, fresh(), KEYS.billing);
    expect(response.status).toBe(status);
    expectHeaders(response, limit, limit - 1);
  });

  it('is in the headers of a 401 and a 403', async () => {
    await begin();
    expectHeaders(await call(STATUS, fresh(), 'wrong'), LIMIT, LIMIT - 1);
    expectHeaders(await call(STATUS, fresh(), await user({ organization_id: 'globex' })), 10 * LIMIT, 10 * LIMIT - 1);
  });

  it.each([[CONNECT], [CALLBACK]])('redirects a browser at %j to the frontend if it is exceeded', async (route) => {
    await begin();
    const from = fresh();
    expect(await allowed(() => call(route, from, KEYS.billing), LIMIT)).toBe(LIMIT);
    const response = await call(route, from, KEYS.billing, { Accept: CHROME });
    expect([response.status, response.headers['location']]).toEqual([
      302,
      expect.stringContaining('error=rate_limited'),
    ]);
    expect(response.headers).not.toHaveProperty('retry-after'); // it would delay the redirect
  });

  it.each([[CONNECT], [CALLBACK], [DISCONNECT]])(
    'returns 429 with Retry-After at %j if it is exceeded',
    async (route) => {
      await begin();
      const from = fresh();
      const one = () => call(route, from, KEYS.billing);
      expect(await allowed(one, LIMIT)).toBe(LIMIT);
      const response = await one();
      expect([response.status, problemOf(response)]).toEqual([429, 'rate_limited']);
      const seconds = Number(response.headers['retry-after']);
      expect(seconds > 0 && seconds <= 60).toBe(true);
      expectHeaders(response, LIMIT, 0);
      expect(response.headers).not.toHaveProperty('x-ratelimit-limit');
    },
  );

  it('counts connect and the callback by address, whatever the caller', async () => {
    await begin();
    const [here, there] = [fresh(), fresh()];
    expect(await allowed(() => call(CONNECT, here, KEYS.billing), LIMIT)).toBe(LIMIT);
    expect((await call(CONNECT, here, KEYS.reports)).status).toBe(429);
    expect((await call(CONNECT, there, KEYS.billing)).status).toBe(302);
    expect((await call(LINK, here, KEYS.billing)).status).toBe(201);
    expect((await call(STATUS, here, KEYS.billing)).status).toBe(200);
    expect(await allowed(() => call(CALLBACK, fresh()), 2 * LIMIT)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    ['POST connect and disconnect by caller', DISCONNECT, LINK, LIMIT],
    ['status and the gateway by caller, and allows ten times as many', STATUS, GATEWAY, 10 * LIMIT],
  ])('counts %s, whatever the address', async (_, route, related, limit) => {
    await begin();
    const [someone, same, other] = await Promise.all(
      ['user-7', 'user-7', 'user-8'].map((sub) => user({ sub, jti: sub })),
    );
    expect(await allowed(() => call(route, fresh(), someone), limit)).toBe(limit);
    expect((await call(related, fresh(), same)).status).toBe(429);
    expect((await call(route, fresh(), other)).status).toBe(200);
    expect(await allowed(() => call(route, fresh(), KEYS.billing), limit)).toBe(limit);
    expect((await call(related, fresh(), KEYS.billing)).status).toBe(429);
    expect((await call(route, fresh(), KEYS.reports)).status).toBe(200);
  });

  it.each([
    ['status', STATUS, ['GET', `${PREFIX}/status/globex`]],
    ['the gateway', GATEWAY, ['GET', '/v3/company/globex/companyinfo/1']],
  ])('counts %s for each organization of a caller', async (_, route, elsewhere) => {
    await begin();
    expect(await allowed(() => call(route, fresh(), KEYS.billing), 10 * LIMIT)).toBe(10 * LIMIT);
    expect((await call(elsewhere, fresh(), KEYS.billing)).status).not.toBe(429);
  });

  it('counts organizations that a user cannot act for together', async () => {
    await begin();
    const token = await user({ sub: 'curious' });
    const guess = () => call(['GET', `${PREFIX}/status/guess-${fresh()}`.replaceAll('.', '-')], fresh(), token);
    expect(await allowed(guess, 10 * LIMIT)).toBe(10 * LIMIT);
    expect((await call(STATUS, fresh(), token)).status).toBe(200);
  });

  it('counts anonymous callers by address', async () => {
    await begin({ API_KEYS: '', AUTH_JWKS_URL: '', AUTH_ISSUER: '', AUTH_AUDIENCE: '' });
    const here = fresh();
    expect(await allowed(() => call(DISCONNECT, here), LIMIT)).toBe(LIMIT);
    expect((await call(DISCONNECT, fresh())).status).toBe(200);
  });

  it('counts rejected credentials by address, from which valid credentials are still accepted', async () => {
    await begin();
    const here = fresh();
    const invalid = [undefined, 'wrong', await user({ aud: 'other' }), 'wronger', 'wrongest'];
    const statuses: number[] = [];
    for (const token of invalid) statuses.push((await call(STATUS, here, token)).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await call(['GET', '/api/v1/made/up'], here)).status).toBe(429);
    expect((await call(['GET', `${PREFIX}/connect/acme?link=x`], here)).status).toBe(429);
    expect((await call(STATUS, here, KEYS.billing)).status).toBe(200);
    expect((await call(CONNECT, here, KEYS.billing)).status).toBe(302);
    expect((await call(CALLBACK, here)).status).toBe(400);
    expect((await call(STATUS, fresh(), 'wrong')).status).toBe(401);
  });

  it.each(['/healthz', '/readyz'])('does not apply to %s', async (path) => {
    await begin();
    const from = fresh();
    const responses = await Promise.all(Array.from({ length: 100 }, () => call(['GET', path], from)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(responses[0]?.headers).not.toHaveProperty('ratelimit');
  });
});

/** Expects the headers of draft 8: `"name";r=2;t=60` and `"name";q=3;w=60`. */
function expectHeaders({ headers }: Sent, limit: number, remaining: number): void {
  expect(headers['ratelimit-policy']).toMatch(new RegExp(`^"[a-z]+"; ?q=${limit}; ?w=60(;|$)`));
  expect(headers['ratelimit']).toMatch(new RegExp(`^"[a-z]+"; ?r=${remaining}; ?t=([1-9]|[1-5]\\d|60)$`));
}
