import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { changed, PREFIX } from '../support/requests.ts';
import { send } from '../support/send.ts';
import { consent } from '../support/service.ts';

describe('a rejected JWT', () => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, WITH_KEYS, keySet.env);
  });
  const harness = useHarness(createSqlite, { env });
  afterAll(() => keySet.close());

  it.each([
    ['GET', `${PREFIX}/status/acme?x=canary-query`, `${PREFIX}/status/:organization_id`],
    ['POST', `${PREFIX}/connect/acme`, `${PREFIX}/connect/:organization_id`],
    ['GET', `${PREFIX.toUpperCase()}/EVENTS/acme/`, `${PREFIX}/events/:organization_id`],
    ['GET', '/api/v1/quickbooks/acme/invoice/1', '/api/v1/quickbooks/:organization_id/*resource'],
    ['POST', '/v3/company/acme/invoice', '/v3/company/:organization_id/*resource'],
    ['GET', '/api/v1/nothing/canary-path', 'unmatched'],
  ])('is logged with its reason and its route, and neither is in the response: %s %s', async (method, path, route) => {
    const before = harness.logs.length;
    const token = await keySet.sign({ aud: 'canary-audience' });
    const headers = { Authorization: `Bearer ${token}` };
    const response = await send(harness.service.origin, path, { method, headers });
    expect(response.status).toBe(401);
    const lines = harness.logs.slice(before);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { msg: 'request', status: 401, route, reason: 'ERR_JWT_CLAIM_VALIDATION_FAILED aud', code: 'unauthorized' },
    ]);
    expect(lines.join()).not.toContain('canary');
    expect(JSON.stringify(response)).not.toMatch(/aud|ERR_|canary/);
  });
});

describe('a rejected state', () => {
  const harness = useHarness(createSqlite);

  it.each([
    ['expired', 'acme', (path: string) => path, 11 * 60_000, true],
    ['other_browser', 'acme', (path: string) => path, 0, false],
    ['not_issued', undefined, (path: string) => changed(path, { state: 'canary-state' }), 0, true],
  ])(
    'is logged with its reason, and with its organization if it was signed: %s',
    async (reason, organization_id, change, wait, hasCookie) => {
      const { path, cookie } = await consent(harness.service, harness.simulator, 'acme');
      harness.clock.advance(wait);
      const before = harness.logs.length;
      const headers = hasCookie ? { Cookie: cookie } : {};
      const response = await send(harness.service.origin, change(path), { headers });
      expect(response.status).toBe(400);
      const lines = harness.logs.slice(before).map((line) => JSON.parse(line));
      const requests = lines.filter(({ msg }) => msg === 'request');
      expect(requests).toHaveLength(1);
      expect(requests[0]).toMatchObject({ route: `${PREFIX}/callback`, code: 'invalid_state', reason });
      expect(requests[0].organization_id).toBe(organization_id);
      expect(JSON.stringify(lines)).not.toContain('canary');
    },
  );
});

describe('a service that requires no credentials', () => {
  const harness = useHarness(createSqlite);
  const call = (Host: string, path = `${PREFIX}/status/acme`) =>
    send(harness.service.origin, path, { headers: { Host } });

  it.each(['localhost', 'localhost:8080', 'LOCALHOST:1', '127.0.0.1', '127.8.9.10:99', '[::1]:8080'])(
    'accepts a request to its own host or to loopback: %s',
    async (host) => {
      expect((await call(host)).status).toBe(200);
    },
  );

  it.each([
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    '10.0.0.1',
    '0.0.0.0',
    'x@localhost',
    '127.0.0.1.evil.example',
    '[::2]',
    'localhost/',
  ])('rejects a request to any other host: %j', async (host) => {
    for (const path of [`${PREFIX}/status/acme`, `${PREFIX}/connect/acme`, '/v3/company/acme/query', '/api/v1/none']) {
      const { status, body } = await call(host, path);
      expect([status, JSON.parse(body).code]).toEqual([403, 'forbidden']);
    }
  });

  it('accepts a request to the host of QBO_REDIRECT_URI', async () => {
    const QBO_REDIRECT_URI = 'https://Accounting.Octup.example:8443/api/v1/oauth/quickbooks/callback';
    const { createApp } = await import('../../src/app.ts');
    const { listen } = await import('../../src/lifecycle/listen.ts');
    const server = await listen(createApp(await harness.replica({ env: { QBO_REDIRECT_URI } })), {
      host: '127.0.0.1',
      port: 0,
    });
    const status = async (Host: string) =>
      (await send(`http://127.0.0.1:${server.address.port}`, `${PREFIX}/status/acme`, { headers: { Host } })).status;
    expect([await status('accounting.octup.example'), await status('octup.example')]).toEqual([200, 403]);
    await server.close();
  });

  it.each(['/healthz', '/readyz', '/openapi.json', `${PREFIX}/disconnected`])(
    'lets probes and browsers reach what is public by any host: %s',
    async (path) => {
      expect((await call('10.0.0.1:8080', path)).status).toBeLessThan(400);
    },
  );
});
