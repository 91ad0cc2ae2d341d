import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bearer, KEYS, WITH_KEYS } from './support/credentials.ts';
import { createSqlite } from './support/databases.ts';
import { sendRaw } from './support/gateway.ts';
import { useHarness } from './support/harness.ts';
import { anyText, expectRejected, mutated, printable } from './support/hostile.ts';
import { callback, PREFIX } from './support/requests.ts';
import { type Sent, send } from './support/send.ts';

const REALM = '9341452000000001';

const harness = useHarness(createSqlite, { env: WITH_KEYS });
let state: string;
let cookie: string;
let link: string;

beforeAll(async () => {
  const connected = await start();
  expect((await callback(harness.service, connected)).status).toBe(302);
  ({ state, cookie } = await start());
  const { body } = await send(harness.service.origin, `${PREFIX}/connect/acme`, {
    method: 'POST',
    headers: bearer(KEYS.billing),
  });
  link = new URL(JSON.parse(body).connect_url).searchParams.get('link') ?? '';
});
afterAll(() => expect(harness.logs.filter((line) => JSON.parse(line).level >= 50)).toEqual([]));

describe('a service that receives hostile input', () => {
  afterEach(() => expect(harness.simulator.calls).toEqual([])); // none of it reaches Intuit

  it('rejects any other state', async () => {
    await expectRejected(anyText, 400, (value) =>
      get(`${PREFIX}/callback?code=c&realmId=1&state=${encodeURIComponent(value)}`, { Cookie: cookie }),
    );
  });

  it('rejects a state that was changed', async () => {
    const changed = mutated(() => state);
    await expectRejected(changed, 400, (value) =>
      get(`${PREFIX}/callback?code=c&realmId=1&state=${encodeURIComponent(value)}`, { Cookie: cookie }),
    );
  });

  it('rejects any other cookie', async () => {
    await expectRejected(anyText, 400, (value) =>
      get(`${PREFIX}/callback?code=c&realmId=1&state=${state}`, {
        Cookie: `${cookie.split('=')[0]}=${printable(value)}`,
      }),
    );
  });

  it('rejects any other link, and one that was changed', async () => {
    const open = (value: string) => get(`${PREFIX}/connect/acme?link=${encodeURIComponent(value)}`);
    const changed = mutated(() => link);
    await expectRejected(anyText, 401, open);
    await expectRejected(changed, 401, open);
  });

  it('rejects every invalid organization and accepts every valid one', async () => {
    const valid = /^[A-Za-z0-9_-]{1,36}$/;
    const invalid = anyText.filter((value) => !valid.test(value) && value !== '');
    await expectRejected(invalid, 400, (value) =>
      get(`${PREFIX}/status/${encodeURIComponent(value)}`, bearer(KEYS.billing)),
    );
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(valid), async (value) => {
        expect((await get(`${PREFIX}/status/${value}`, bearer(KEYS.billing))).status).toBe(200);
      }),
      { numRuns: 40 },
    );
  });

  it('rejects any query of the callback', async () => {
    const names = fc.oneof(
      fc.constantFrom('code', 'state', 'realmId', 'error', 'link', '__proto__', 'state[]'),
      anyText,
    );
    const values = fc.oneof(anyText, fc.constantFrom('1', 'x'.repeat(600)));
    await expectRejected(fc.array(fc.tuple(names, values), { maxLength: 8 }), 400, (pairs) => {
      const query = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
      return get(`${PREFIX}/callback?${query.join('&')}`, { Cookie: cookie });
    });
    await expectRejected(anyText, 400, (value) => get(`${PREFIX}/callback?${printable(value)}`, { Cookie: cookie }));
  });
});

describe('the gateway', () => {
  it('calls only the company, whatever the path', async () => {
    const pieces = ['.', '..', '/', '%2e', '%2F', '%5c', '\\', '%', '%00', ';', '?', '#', '@', ':', 'a', 'é', '//'];
    const path = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(path, fc.constantFrom('/v3/company', '/api/v1/quickbooks'), async (below, prefix) => {
        const head = `GET ${prefix}/acme/${below} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
        const response = await sendRaw(harness.service.origin, `${head}Authorization: Bearer ${KEYS.billing}\r\n\r\n`);
        expect(response).toMatch(/^HTTP\/1\.1 (200|400|404|405) /);
      }),
      { numRuns: 120 },
    );
    for (const { url, path: called } of harness.simulator.callsTo('api')) {
      expect(new URL(url, 'http://any').pathname).toBe(called); // a URL parser would remove nothing from it
      expect(called.startsWith(`/v3/company/${REALM}/`)).toBe(true);
    }
  });
});

/** Starts a flow. Returns the callback's path, its state, and the browser's cookie. */
async function start(): Promise<{ path: string; state: string; cookie: string }> {
  const { headers } = await get(`${PREFIX}/connect/acme`, bearer(KEYS.billing));
  const url = new URL(await harness.simulator.authorize(String(headers['location']), { realmId: REALM }));
  return {
    path: url.pathname + url.search,
    state: url.searchParams.get('state') ?? '',
    cookie: String(headers['set-cookie']).split(';')[0] ?? '',
  };
}

async function get(path: string, headers: Record<string, string> = {}): Promise<Sent> {
  return send(harness.service.origin, path, { headers });
}
