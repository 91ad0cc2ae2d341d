import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bearer, KEYS, WITH_KEYS } from './support/credentials.ts';
import { createSqlite } from './support/databases.ts';
import { sendRaw } from './support/gateway.ts';
import { anyText, expectRefused, mutated, printable } from './support/hostile.ts';
import { callback, PREFIX } from './support/requests.ts';
import { type Sent, send } from './support/send.ts';
import { startService, type TestService } from './support/service.ts';
import { useStage } from './support/stage.ts';

const REALM = '9341452000000001';

const stage = useStage(createSqlite);
let service: TestService;
let state: string;
let cookie: string;
let link: string;

beforeAll(async () => {
  service = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator, env: WITH_KEYS });
  const begin = () => send(service.origin, `${PREFIX}/connect/acme`, { headers: bearer(KEYS.billing) });
  const flow = async ({ headers }: Sent) => ({
    state: new URL(String(headers['location'])).searchParams.get('state') ?? '',
    cookie: String(headers['set-cookie']).split(';')[0] ?? '',
    url: new URL(await stage.simulator.authorize(String(headers['location']), { realmId: REALM })),
  });
  const { url, cookie: used } = await flow(await begin());
  expect((await callback(service, { path: url.pathname + url.search, cookie: used })).status).toBe(302);
  ({ state, cookie } = await flow(await begin()));
  const asked = await send(service.origin, `${PREFIX}/connect/acme`, { method: 'POST', headers: bearer(KEYS.billing) });
  link = new URL(JSON.parse(asked.body).connect_url).searchParams.get('link') ?? '';
});
beforeEach(() => stage.simulator.resetCalls());
afterAll(async () => {
  await service.close();
  expect(service.logs.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
});

describe('hostile input is refused, and no fault of ours:', () => {
  afterEach(() => expect(stage.simulator.calls).toEqual([])); // nothing of it reaches Intuit

  it('any state', async () => {
    await expectRefused(anyText, 400, (value) =>
      get(`${PREFIX}/callback?code=c&realmId=1&state=${encodeURIComponent(value)}`, { Cookie: cookie }),
    );
  });

  it('a state that was changed', async () => {
    await expectRefused(
      mutated(() => state),
      400,
      (value) => get(`${PREFIX}/callback?code=c&realmId=1&state=${encodeURIComponent(value)}`, { Cookie: cookie }),
    );
  });

  it('any cookie', async () => {
    await expectRefused(anyText, 400, (value) =>
      get(`${PREFIX}/callback?code=c&realmId=1&state=${state}`, {
        Cookie: `${cookie.split('=')[0]}=${printable(value)}`,
      }),
    );
  });

  it('any link, and one that was changed', async () => {
    const open = (value: string) => get(`${PREFIX}/connect/acme?link=${encodeURIComponent(value)}`);
    await expectRefused(anyText, 401, open);
    await expectRefused(
      mutated(() => link),
      401,
      open,
    );
  });

  it('any organization', async () => {
    const good = /^[A-Za-z0-9_-]{1,36}$/;
    await expectRefused(
      anyText.filter((value) => !good.test(value) && value !== ''),
      400,
      (value) => get(`${PREFIX}/status/${encodeURIComponent(value)}`, bearer(KEYS.billing)),
    );
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(good), async (value) => {
        expect((await get(`${PREFIX}/status/${value}`, bearer(KEYS.billing))).status).toBe(200);
      }),
      { numRuns: 40 },
    );
  });

  it('any query of the callback', async () => {
    const names = fc.oneof(
      fc.constantFrom('code', 'state', 'realmId', 'error', 'link', '__proto__', 'state[]'),
      anyText,
    );
    const values = fc.oneof(anyText, fc.constantFrom('1', 'x'.repeat(600)));
    await expectRefused(fc.array(fc.tuple(names, values), { maxLength: 8 }), 400, (pairs) => {
      const query = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
      return get(`${PREFIX}/callback?${query.join('&')}`, { Cookie: cookie });
    });
    await expectRefused(anyText, 400, (value) => get(`${PREFIX}/callback?${printable(value)}`, { Cookie: cookie }));
  });
});

describe('the gateway', () => {
  it('answers any path, and calls nothing but the company', async () => {
    const path = fc.string({
      unit: fc.constantFrom(
        '.',
        '..',
        '/',
        '%2e',
        '%2F',
        '%5c',
        '\\',
        '%',
        '%00',
        ';',
        '?',
        '#',
        '@',
        ':',
        'a',
        'é',
        '//',
      ),
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(path, fc.constantFrom('/v3/company', '/api/v1/quickbooks'), async (below, prefix) => {
        const head = `GET ${prefix}/acme/${below} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
        const answer = await sendRaw(service.origin, `${head}Authorization: Bearer ${KEYS.billing}\r\n\r\n`);
        expect(answer).toMatch(/^HTTP\/1\.1 (200|400|404|405) /);
      }),
      { numRuns: 120 },
    );
    for (const { url, path: called } of stage.simulator.callsTo('api')) {
      expect(new URL(url, 'http://any').pathname).toBe(called); // nothing in it that a URL parser would take away
      expect(called.startsWith(`/v3/company/${REALM}/`)).toBe(true);
    }
  });
});

async function get(path: string, headers: Record<string, string> = {}): Promise<Sent> {
  return send(service.origin, path, { headers });
}
