import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent, send } from '../support/send.ts';
import { startService, type TestService } from '../support/service.ts';

/** Everything below /api/v1 and /v3 that is not the callback, spelled in every way that a router might take for it. */
const CLOSED = [
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
  ['GET', '/api/v1/a/route/of/tomorrow'],
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

let simulator: Awaited<ReturnType<typeof startIntuitSimulator>>;
let keySet: KeySet;
let database: TestDatabase;
let service: TestService;
const call = (path: string, token?: string, method = 'GET') =>
  send(service.origin, path, { method, headers: token ? bearer(token) : {} });

beforeAll(async () => {
  [simulator, keySet, database] = await Promise.all([startIntuitSimulator(), startKeySet(), createSqlite()]);
  service = await startService({ databaseUrl: database.url, simulator, env: { ...WITH_KEYS, ...keySet.env } });
});
afterAll(async () => {
  await service.close();
  await Promise.all([simulator.close(), keySet.close(), database.drop()]);
});

describe('without credentials', () => {
  it.each(CLOSED)('%s %s is 401', async (method, path) => {
    expectRefused(await call(path, undefined, method), method);
  });

  it.each(CLOSED)('%s %s is let through with a key', async (method, path) => {
    expect((await call(path, KEYS.billing, method)).status).not.toBe(401);
  });

  it.each(OUTSIDE)('%s is no way around: nothing is there', async (path) => {
    for (const token of [undefined, KEYS.billing]) expect(problemOf(await call(path, token))).toBe('not_found');
  });

  it.each(['/healthz', '/readyz'])('%s is open', async (path) => {
    expect((await call(path)).status).toBe(200);
  });

  it('the callback is open, and answers what is wrong with it', async () => {
    for (const token of [undefined, 'wrong'])
      expect(problemOf(await call(`${PREFIX}/callback`, token))).toBe('invalid_request');
    expect((await call(`${PREFIX}/callback`, undefined, 'HEAD')).status).toBe(405);
    expect(problemOf(await call(`${PREFIX}/callback`, undefined, 'POST'))).toBe('method_not_allowed');
  });
});

describe('credentials', () => {
  it.each([
    ['a key', KEYS.reports, 200],
    ['a wrong key', `${KEYS.reports}x`, 401],
    ['what is neither key nor JWT', 'x.y.z', 401],
  ])('of %s act for an organization or not', async (_, token, status) => {
    for (const organization of ['acme', 'globex'])
      expect((await call(`${PREFIX}/status/${organization}`, token)).status).toBe(status);
  });

  it.each(['GET /status', 'POST /connect', 'GET /connect', 'POST /disconnect'])(
    'of a user do not reach another organization: %s is 403',
    async (text) => {
      const [method = '', path] = text.split(' ');
      const token = await keySet.sign();
      expect((await call(`${PREFIX}${path}/acme`, token, method)).status).toBeLessThan(400);
      for (const other of ['globex', 'ACME', 'acme-']) {
        const answer = await call(`${PREFIX}${path}/${other}`, token, method);
        expect([answer.status, problemOf(answer)]).toEqual([403, 'forbidden']);
      }
    },
  );

  it.each(['/api/v1/quickbooks', '/v3/company'])('of a user reach their own company alone, at %s', async (path) => {
    const token = await keySet.sign();
    expect(problemOf(await call(`${path}/acme/companyinfo/1`, token))).toBe('connection_not_found');
    expect(problemOf(await call(`${path}/globex/companyinfo/1`, token))).toBe('forbidden');
  });

  it.each([undefined, '', 7, ['acme']])('of a user without an organization (%j) are 403', async (organization_id) => {
    const answer = await call(`${PREFIX}/status/acme`, await keySet.sign({ organization_id }));
    expect(problemOf(answer)).toBe('forbidden');
  });

  it.each([
    ['a key’s name', async () => KEYS.billing, 'billing'],
    ['a user’s subject', async () => keySet.sign(), 'user-7'],
  ])('are known in the request’s line by %s', async (_, token, actor) => {
    const before = service.logs.length;
    await call(`${PREFIX}/status/acme`, await token());
    expect(service.logs.slice(before).map((line) => JSON.parse(line))).toMatchObject([{ actor, status: 200 }]);
  });

  it('are told in no line and no answer', () => {
    const told = [...service.logs, ...service.answers.map((answer) => JSON.stringify(answer))].join();
    for (const secret of [...Object.values(KEYS), 'eyJhbGciOi']) expect(told).not.toContain(secret);
  });

  it('that need a key set nobody can fetch are 503, while keys go on working', async () => {
    const broken = await startKeySet();
    broken.answer = 'broken';
    const env = { ...WITH_KEYS, ...broken.env };
    const other = await startService({ databaseUrl: 'sqlite::memory:', simulator, env });
    const path = `${PREFIX}/status/acme`;
    const answer = await send(other.origin, path, { headers: bearer(await broken.sign()) });
    expect([answer.status, problemOf(answer)]).toEqual([503, 'service_unavailable']);
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d?$/);
    expect((await send(other.origin, path, { headers: bearer(KEYS.billing) })).status).toBe(200);
    await other.close();
    await broken.close();
  });
});

function expectRefused(answer: Sent, method: string): void {
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'x-request-id': expect.any(String) });
  if (method !== 'HEAD') expect(problemOf(answer)).toBe('unauthorized');
  expect(answer.headers).not.toHaveProperty('set-cookie');
}
