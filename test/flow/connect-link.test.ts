import { describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { REDIRECT_URI } from '../support/environment.ts';
import { callback, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { problemOf, type Sent, send } from '../support/send.ts';
import { startService } from '../support/service.ts';
import { type Stage, useStage } from '../support/stage.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const MINUTE = 60_000;

describe('a connect link', () => {
  const stage = useStage(createSqlite, WITH_KEYS);

  it('is told with its end, on our own address whatever the request says of it', async () => {
    const now = new Date('2026-02-10T14:00:00.000Z');
    stage.clock = () => now;
    const headers = {
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'host=evil',
    };
    const answer = await ask(stage, 'acme', headers);
    expect([answer.status, answer.headers['content-type']]).toEqual([201, 'application/json; charset=utf-8']);
    const connect_url = expect.stringMatching(
      /^http:\/\/localhost:8080\/api\/v1\/oauth\/quickbooks\/connect\/acme\?link=[\w.-]+$/,
    );
    expect(JSON.parse(answer.body)).toEqual({ connect_url, expires_at: '2026-02-10T14:05:00.000Z' });
  });

  it('is given to nobody without credentials, and takes no part in the request’s line', async () => {
    expect(problemOf(await send(stage.service.origin, `${PREFIX}/connect/acme`, { method: 'POST' }))).toBe(
      'unauthorized',
    );
    const path = await link(stage, 'acme');
    await open(stage, path);
    const [signed = ''] = path.split('link=').slice(1);
    expect(stage.service.logs.join()).not.toContain(signed.slice(0, 20));
  });

  it('begins a connection once, without credentials; the one who asked is told when it is connected', async () => {
    const path = await link(stage, 'asked');
    const first = await open(stage, path);
    expect(first.status).toBe(302);
    expectLinkRefused(await open(stage, path));
    await complete(stage, first);
    const lines = stage.service.logs.map((line) => JSON.parse(line));
    expect(lines.filter(({ event, organization_id }) => event && organization_id === 'asked')).toMatchObject([
      { event: 'connected', actor: 'billing' },
    ]);
  });

  it('leaves no trace where it was not asked for: a key’s own name stands in the line', async () => {
    const direct = await send(stage.service.origin, `${PREFIX}/connect/direct`, { headers: bearer(KEYS.reports) });
    await complete(stage, direct);
    const event = stage.service.logs
      .map((line) => JSON.parse(line))
      .find((line) => line.organization_id === 'direct' && line.event);
    expect(event).toMatchObject({ event: 'connected', actor: 'reports' });
  });

  it('is refused after five minutes', async () => {
    const path = await link(stage, 'acme');
    stage.clock = () => new Date(Date.now() + 5 * MINUTE);
    expectLinkRefused(await open(stage, path));
  });

  it.each([
    ['cut', (path: string) => path.slice(0, -1)],
    ['cut in two', (path: string) => path.slice(0, path.indexOf('.'))],
    ['longer', (path: string) => `${path}A`],
    [
      'with a bit flipped',
      (path: string) => path.replace(/link=(.)/, (_, letter) => `link=${letter === 'f' ? 'e' : 'f'}`),
    ],
    ['empty', (path: string) => path.replace(/link=.*/, 'link=')],
    ['twice', (path: string) => `${path}&${path.split('?')[1]}`],
    ['of another organization', (path: string) => path.replace('/acme?', '/globex?')],
    ['of the organization in another case', (path: string) => path.replace('/acme?', '/ACME?')],
  ])('is refused that is %s, and the true one still opens', async (_, change) => {
    const path = await link(stage, 'acme');
    expectLinkRefused(await open(stage, change(path)));
    const page = await send(stage.service.origin, change(path), { headers: { Accept: CHROME } });
    expect([page.status, page.headers['content-type']]).toEqual([401, 'text/html; charset=utf-8']);
    expect(page.headers['www-authenticate']).toBe('Bearer');
    expect(page.body).toContain('ask for a new one');
    expect((await open(stage, path)).status).toBe(302);
  });

  it.each([
    ['GET', `${PREFIX}/status/acme`],
    ['POST', `${PREFIX}/disconnect/acme`],
    ['POST', `${PREFIX}/connect/acme`],
    ['HEAD', `${PREFIX}/connect/acme`],
    ['GET', `${PREFIX}/connect/acme/status`],
    ['GET', '/api/v1/quickbooks/acme/companyinfo/1'],
    ['GET', '/v3/company/acme/companyinfo/1'],
    ['GET', '/api/v1/made/up'],
  ])('opens nothing but connect: not %s %s', async (method, path) => {
    const good = await link(stage, 'acme');
    const [, query] = good.split('?');
    expect((await send(stage.service.origin, `${path}?${query}`, { method })).status).toBe(401);
    const asKey = bearer(String(query).slice('link='.length));
    expect((await send(stage.service.origin, path, { method, headers: asKey })).status).toBe(401);
    expect((await open(stage, good)).status).toBe(302);
  });

  it('is no state, and a state is no link', async () => {
    const path = await link(stage, 'acme');
    const signed = path.split('link=')[1] ?? '';
    const asState = await send(stage.service.origin, `${PREFIX}/callback?code=c&realmId=1&state=${signed}`);
    expect(problemOf(asState)).toBe('invalid_state');
    const state = stateOf(await open(stage, path));
    expectLinkRefused(await open(stage, `${PREFIX}/connect/acme?link=${state}`));
  });

  itKeptSecrets(stage);
});

describeEachDatabase('a connect link', (createDatabase) => {
  const stage = useStage(createDatabase, WITH_KEYS);

  it('that ten browsers open at once begins one connection', async () => {
    const path = await link(stage, 'acme');
    const answers = await Promise.all(Array.from({ length: 10 }, () => open(stage, path)));
    expect(answers.map(({ status }) => status).sort()).toEqual([302, ...Array.from({ length: 9 }, () => 401)]);
  });
});

describe('a connect link, while the secrets change,', () => {
  const [old, fresh] = ['old-secret-0123456789-0123456789-abc', 'new-secret-0123456789-0123456789-abc'];
  const stage = useStage(createSqlite, { ...WITH_KEYS, OAUTH_STATE_SECRET: old });

  it.each([`${fresh},${old}`, `${old},${fresh}`])(
    'opens, and so does its callback, where they are %s',
    async (OAUTH_STATE_SECRET) => {
      const path = await link(stage, 'acme');
      const flow = await open(stage, path);
      const env = { ...WITH_KEYS, OAUTH_STATE_SECRET };
      const rotated = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator, env });
      expect((await send(rotated.origin, await link(stage, 'acme'))).status).toBe(302);
      expect((await send(rotated.origin, path)).status).toBe(401); // used before
      await complete({ ...stage, service: rotated }, flow);
      await rotated.close();
    },
  );

  it('does not open once its secret is gone', async () => {
    const env = { ...WITH_KEYS, OAUTH_STATE_SECRET: fresh };
    const rotated = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator, env });
    expectLinkRefused(await send(rotated.origin, await link(stage, 'acme')));
    await rotated.close();
  });
});

async function ask({ service }: Stage, organizationId: string, headers: Record<string, string> = {}): Promise<Sent> {
  const path = `${PREFIX}/connect/${organizationId}`;
  return send(service.origin, path, { method: 'POST', headers: { ...bearer(KEYS.billing), ...headers } });
}

/** A fresh link's path and query. */
async function link(stage: Stage, organizationId: string): Promise<string> {
  const url = new URL(JSON.parse((await ask(stage, organizationId)).body).connect_url);
  expect(url.origin).toBe(new URL(REDIRECT_URI).origin);
  return url.pathname + url.search;
}

async function open({ service }: Stage, path: string): Promise<Sent> {
  return send(service.origin, path);
}

function stateOf({ headers }: Sent): string {
  return new URL(String(headers['location'])).searchParams.get('state') ?? '';
}

/** What a browser does after the redirect, to the end. */
async function complete({ service, simulator }: Stage, { headers }: Sent): Promise<void> {
  const url = new URL(await simulator.authorize(String(headers['location'])));
  const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
  const answer = await callback(service, { path: url.pathname + url.search, cookie });
  expect([answer.status, answer.headers['location']]).toEqual([302, expect.stringContaining('connected=true')]);
}

function expectLinkRefused(answer: Sent): void {
  expect([answer.status, problemOf(answer), answer.headers['www-authenticate']]).toEqual([
    401,
    'unauthorized',
    'Bearer',
  ]);
  expect(answer.headers).not.toHaveProperty('set-cookie');
}
