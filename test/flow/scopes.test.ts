import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SCOPES } from '../../src/models/scope.ts';
import { openApiDocument } from '../../src/openapi/document.ts';
import { bearer } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, type Sent, send } from '../support/send.ts';

const GATEWAY = '/api/v1/quickbooks/acme';
const challenge = (scope: string) => `Bearer error="insufficient_scope", scope="${scope}"`;

/** For each scope a key that has only this one, and a key that has only the others. */
const keyWith = (scope: string) => `with-${scope.replace(':', '-')}-0123456789-0123456789`;
const keyWithout = (scope: string) => `without-${scope.replace(':', '-')}-0123456789-0123456789`;
const API_KEYS = SCOPES.flatMap((scope, at) => [
  `with.${at}:${keyWith(scope)}:${scope}`,
  `without.${at}:${keyWithout(scope)}:${SCOPES.filter((other) => other !== scope).join('+')}`,
]).join();

describe('an API key with scopes', () => {
  const harness = useHarness(createSqlite, { env: { AUTH_DISABLED: '', API_KEYS } });
  const call = (key: string, method: string, path: string) =>
    send(harness.service.origin, path, { method, headers: bearer(key) });

  it('can call every operation of the API reference that requires one of them, and no other', async () => {
    await harness.connect('acme');
    const operations = protectedOperations(openApiDocument(harness.home.config, harness.home.strategies.all()));
    expect(operations.length).toBeGreaterThanOrEqual(9);
    for (const { method, path, scope } of operations) {
      expectForbidden(await call(keyWithout(scope), method, path), scope);
      expect({ method, path, ...(await call(keyWith(scope), method, path)) }).not.toMatchObject({ status: 403 });
    }
  });

  it.each(['/api/v1/quickbooks', '/v3/company'])(
    'can post a query with quickbooks:read only, below %s',
    async (root) => {
      const post = async (resource: string) => call(keyWith('quickbooks:read'), 'POST', `${root}/acme/${resource}`);
      expect((await post('query?minorversion=75')).status).not.toBe(403);
      for (const resource of [
        'invoice',
        'Query',
        'query/1',
        '1/query',
        'batch',
        'query%2Finvoice',
        'invoice?query=query',
      ]) {
        expectForbidden(await post(resource), 'quickbooks:write');
      }
      expectForbidden(await call(keyWith('quickbooks:write'), 'POST', `${root}/acme/query`), 'quickbooks:read');
      expectForbidden(await call(keyWith('quickbooks:write'), 'GET', `${root}/acme/invoice/1`), 'quickbooks:read');
    },
  );

  it('is rejected before anything is sent to Intuit', async () => {
    harness.simulator.resetCalls();
    expectForbidden(await call(keyWith('quickbooks:read'), 'POST', `${GATEWAY}/invoice`), 'quickbooks:write');
    expect(harness.simulator.calls).toEqual([]);
  });

  it('returns a browser that may not connect to the frontend', async () => {
    const headers = { ...bearer(keyWith('connections:read')), Accept: 'text/html' };
    const response = await send(harness.service.origin, `${PREFIX}/connect/acme`, { headers });
    expect([response.status, response.headers.location]).toEqual([302, expect.stringContaining('error=forbidden')]);
  });
});

describe('a user’s JWT', () => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env);
  });
  const harness = useHarness(createSqlite, { env });
  afterAll(() => keySet.close());

  const ROUTES = [
    ['connections:read', 'GET', `${PREFIX}/status/acme`],
    ['connections:write', 'POST', `${PREFIX}/disconnect/acme`],
    ['quickbooks:read', 'GET', `${GATEWAY}/invoice/1`],
    ['quickbooks:write', 'POST', `${GATEWAY}/invoice`],
  ] as const;

  it('has the four scopes of one organization unless AUTH_SCOPES is true', async () => {
    const headers = bearer(await keySet.sign({ scope: 'nothing' }));
    for (const [, method, path] of ROUTES) {
      expect((await send(harness.service.origin, path, { method, headers })).status).not.toBe(403);
    }
  });

  it.each([
    ['scope, a text', (name: string) => ({ scope: `openid ${name} email` })],
    ['scp, an array', (name: string) => ({ scp: ['openid', name] })],
    ['scp, a text', (name: string) => ({ scp: name })],
  ])('has only the scopes that it names if AUTH_SCOPES is true: %s', async (_, claims) => {
    const { authenticator } = await harness.replica({ env: { ...env, AUTH_SCOPES: 'true' } });
    for (const [name] of ROUTES) {
      const caller = await authenticator.authenticate(`Bearer ${await keySet.sign(claims(name))}`);
      expect(ROUTES.filter(([scope]) => caller.scopes?.has(scope))).toEqual(ROUTES.filter(([scope]) => scope === name));
    }
  });

  it.each([undefined, '', null, 7, ['connections:read'], { 'connections:read': true }, 'connections:readx'])(
    'whose scope is %j has no scope if AUTH_SCOPES is true',
    async (scope) => {
      const { authenticator } = await harness.replica({ env: { ...env, AUTH_SCOPES: 'true' } });
      const caller = await authenticator.authenticate(`Bearer ${await keySet.sign({ scope, scp: [7, null] })}`);
      expect(SCOPES.filter((name) => caller.scopes?.has(name))).toEqual([]);
    },
  );
});

function expectForbidden(response: Sent, scope: string): void {
  expect([response.status, problemOf(response), response.headers['www-authenticate']]).toEqual([
    403,
    'forbidden',
    challenge(scope),
  ]);
  expect(response.headers).toHaveProperty('ratelimit'); // also a call that is not permitted is counted
}

/** Every operation that requires a scope, for the organization acme. */
function protectedOperations({ paths = {} }: ReturnType<typeof openApiDocument>) {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, { security: { apiKey?: string[] }[] }>)
      .filter(([, { security }]) => security.length > 0)
      .map(([method, { security }]) => ({
        method: method.toUpperCase(),
        path: path.replace('{organization_id}', 'acme').replace(/\{\w+\}/g, '1'),
        scope: security[0]?.apiKey?.[0] ?? 'none',
      })),
  );
}
