import { describe, expect, it } from '@jest/globals';
import { KEYS } from '../support/credentials.ts';
import { allowed, fresh, LIMIT, useLimitedService } from '../support/limited-service.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent } from '../support/send.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const CONNECT = ['GET', `${PREFIX}/connect/acme`];
const CALLBACK = ['GET', `${PREFIX}/callback?state=x`];
const ASK = ['POST', `${PREFIX}/connect/acme`];
const DISCONNECT = ['POST', `${PREFIX}/disconnect/acme`];
const STATUS = ['GET', `${PREFIX}/status/acme`];
const GATEWAY = ['GET', '/api/v1/quickbooks/acme/companyinfo/1'];
const LIBRARIES = ['POST', '/v3/company/acme/invoice'];

const { begin, call, user } = useLimitedService();

describe('a limited route', () => {
  it.each([
    ['GET connect', CONNECT, 302],
    ['callback', CALLBACK, 400],
    ['POST connect', ASK, 201],
    ['disconnect', DISCONNECT, 200],
    ['status', STATUS, 200],
    ['gateway', GATEWAY, 404],
    ['gateway for libraries', LIBRARIES, 404],
    ['status of a name that is none', ['GET', `${PREFIX}/status/a.b`], 400],
  ])('tells its limit on every answer, an error too: %s', async (_, route, status) => {
    await begin();
    const answer = await call(route, fresh(), KEYS.billing);
    const most =
      [STATUS, GATEWAY, LIBRARIES].includes(route) || (status === 400 && route !== CALLBACK) ? 10 * LIMIT : LIMIT;
    expect(answer.status).toBe(status);
    expectHeaders(answer, most, most - 1);
  });

  it('tells its limit to those it refuses', async () => {
    await begin();
    expectHeaders(await call(STATUS, fresh(), 'wrong'), LIMIT, LIMIT - 1);
    expectHeaders(await call(STATUS, fresh(), await user({ organization_id: 'globex' })), 10 * LIMIT, 10 * LIMIT - 1);
  });

  it.each([
    ['a problem', DISCONNECT, 'application/json'],
    ['a page for a browser', CONNECT, CHROME],
    ['a page for a browser at the callback', CALLBACK, CHROME],
  ])('says with %s that it is enough', async (kind, route, Accept) => {
    await begin();
    const from = fresh();
    const one = () => call(route, from, KEYS.billing, { Accept });
    expect(await allowed(one, LIMIT)).toBe(LIMIT);
    const answer = await one();
    expect([answer.status, problemOf(answer)]).toEqual([
      429,
      kind === 'a problem' ? 'rate_limited' : 'text/html; charset=utf-8',
    ]);
    const seconds = Number(answer.headers['retry-after']);
    expect(seconds > 0 && seconds <= 60).toBe(true);
    expectHeaders(answer, LIMIT, 0);
    expect(answer.headers).not.toHaveProperty('x-ratelimit-limit');
  });
});

describe('the limits', () => {
  it('of connect and callback count by address, whoever calls', async () => {
    await begin();
    const [here, there] = [fresh(), fresh()];
    expect(await allowed(() => call(CONNECT, here, KEYS.billing), LIMIT)).toBe(LIMIT);
    expect((await call(CONNECT, here, KEYS.reports)).status).toBe(429);
    expect((await call(CONNECT, there, KEYS.billing)).status).toBe(302);
    expect((await call(ASK, here, KEYS.billing)).status).toBe(201);
    expect((await call(STATUS, here, KEYS.billing)).status).toBe(200);
    expect(await allowed(() => call(CALLBACK, fresh()), 2 * LIMIT)).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    ['POST connect and disconnect', DISCONNECT, LIMIT],
    ['status and gateway, ten times as much', STATUS, 10 * LIMIT],
  ])('of %s count by caller, wherever from', async (_, route, most) => {
    await begin();
    const [someone, same, other] = await Promise.all(
      ['user-7', 'user-7', 'user-8'].map((sub) => user({ sub, jti: sub })),
    );
    const related = route === STATUS ? GATEWAY : ASK;
    expect(await allowed(() => call(route, fresh(), someone), most)).toBe(most);
    expect((await call(related, fresh(), same)).status).toBe(429);
    expect((await call(route, fresh(), other)).status).toBe(200);
    expect(await allowed(() => call(route, fresh(), KEYS.billing), most)).toBe(most);
    expect((await call(related, fresh(), KEYS.billing)).status).toBe(429);
    expect((await call(route, fresh(), KEYS.reports)).status).toBe(200);
  });

  it('of callers whom nobody names count by address', async () => {
    await begin({ API_KEYS: '', AUTH_JWKS_URL: '', AUTH_ISSUER: '', AUTH_AUDIENCE: '' });
    const here = fresh();
    expect(await allowed(() => call(DISCONNECT, here), LIMIT)).toBe(LIMIT);
    expect((await call(DISCONNECT, fresh())).status).toBe(200);
  });

  it('of refused credentials count by address, and good ones from there pass', async () => {
    await begin();
    const here = fresh();
    const wrong = [undefined, 'wrong', await user({ aud: 'other' }), 'wronger', 'wrongest'];
    const statuses: number[] = [];
    for (const token of wrong) statuses.push((await call(STATUS, here, token)).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await call(['GET', '/api/v1/made/up'], here)).status).toBe(429);
    expect((await call(['GET', `${PREFIX}/connect/acme?link=x`], here)).status).toBe(429);
    expect((await call(STATUS, here, KEYS.billing)).status).toBe(200);
    expect((await call(CONNECT, here, KEYS.billing)).status).toBe(302);
    expect((await call(CALLBACK, here)).status).toBe(400);
    expect((await call(STATUS, fresh(), 'wrong')).status).toBe(401);
  });

  it.each(['/healthz', '/readyz'])('are not for %s', async (path) => {
    await begin();
    const from = fresh();
    const answers = await Promise.all(Array.from({ length: 100 }, () => call(['GET', path], from)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(answers[0]?.headers).not.toHaveProperty('ratelimit');
  });
});

/** Draft 8: `"name";r=2;t=60` and `"name";q=3;w=60`. */
function expectHeaders({ headers }: Sent, most: number, left?: number): void {
  expect(headers['ratelimit-policy']).toMatch(new RegExp(`^"[a-z]+"; ?q=${most}; ?w=60(;|$)`));
  expect(headers['ratelimit']).toMatch(new RegExp(`^"[a-z]+"; ?r=${left ?? '\\d+'}; ?t=([1-9]|[1-5]\\d|60)$`));
}
