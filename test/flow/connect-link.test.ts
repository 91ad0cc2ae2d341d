import { describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL, REDIRECT_URI } from '../support/environment.ts';
import { type Harness, MINUTES, useHarness } from '../support/harness.ts';
import { callback, expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { problemOf, type Sent, send } from '../support/send.ts';
import { startService, type TestService } from '../support/service.ts';

const CHROME = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

describe('a connect link', () => {
  const harness = useHarness(createSqlite, { env: WITH_KEYS, frozen: true });

  it('is on the service’s configured address, whatever the request’s Host is, and is returned with its expiry', async () => {
    harness.clock.setWallClock(new Date('2026-02-10T14:00:00.000Z'));
    const headers = {
      Host: 'evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'host=evil',
    };
    const response = await requestLink(harness, 'acme', headers);
    expect([response.status, response.headers['content-type']]).toEqual([201, 'application/json; charset=utf-8']);
    const connect_url = expect.stringMatching(
      /^http:\/\/localhost:8080\/api\/v1\/oauth\/quickbooks\/connect\/acme\?link=[\w.-]+$/,
    );
    expect(JSON.parse(response.body)).toEqual({ connect_url, expires_at: '2026-02-10T14:05:00.000Z' });
  });

  it('is issued only with credentials, and is not logged when it is opened', async () => {
    const response = await send(harness.service.origin, `${PREFIX}/connect/acme`, { method: 'POST' });
    expect(problemOf(response)).toBe('unauthorized');
    const path = await createLink(harness, 'acme');
    await open(harness, path);
    const [signed = ''] = path.split('link=').slice(1);
    expect(harness.logs.join()).not.toContain(signed.slice(0, 20));
  });

  it('starts one connection without credentials, whose actor is the caller that requested the link', async () => {
    const path = await createLink(harness, 'requested');
    const first = await open(harness, path);
    expect(first.status).toBe(302);
    expect((await open(harness, path)).status).toBe(302); // a scanner, a prefetch, a second click
    await complete(harness.service, harness, first);
    expectRejected(await open(harness, path));
    expect(eventLines('requested')).toMatchObject([{ event: 'connection.connected', actor: 'billing' }]);
  });

  it('is not needed by a caller with a key, which is then the actor', async () => {
    const headers = bearer(KEYS.reports);
    await complete(
      harness.service,
      harness,
      await send(harness.service.origin, `${PREFIX}/connect/direct`, { headers }),
    );
    expect(eventLines('direct')).toMatchObject([{ event: 'connection.connected', actor: 'reports' }]);
  });

  it('is rejected after five minutes', async () => {
    const path = await createLink(harness, 'acme');
    harness.clock.advance(5 * MINUTES);
    expectRejected(await open(harness, path));
  });

  it.each([
    ['is one character shorter', (path: string) => path.slice(0, -1)],
    ['lacks its signature', (path: string) => path.slice(0, path.indexOf('.'))],
    ['is one character longer', (path: string) => `${path}A`],
    [
      'has one character replaced',
      (path: string) => path.replace(/link=(.)/, (_, letter) => `link=${letter === 'f' ? 'e' : 'f'}`),
    ],
    ['is empty', (path: string) => path.replace(/link=.*/, 'link=')],
    ['is given twice', (path: string) => `${path}&${path.split('?')[1]}`],
    ['is another organization’s', (path: string) => path.replace('/acme?', '/globex?')],
    ['is used for the organization’s ID in another case', (path: string) => path.replace('/acme?', '/ACME?')],
  ])('is rejected if it %s, and the original remains valid', async (_, change) => {
    const path = await createLink(harness, 'acme');
    expectRejected(await open(harness, change(path)));
    const page = await send(harness.service.origin, change(path), { headers: { Accept: CHROME } });
    expect([page.status, page.headers['location'], page.body]).toEqual([
      302,
      `${FRONTEND_URL}/settings/integrations?connected=false&system=quickbooks&error=unauthorized&request_id=${page.headers['x-request-id']}`,
      '',
    ]);
    expect((await open(harness, path)).status).toBe(302);
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
  ])('does not authorize %s %s', async (method, path) => {
    const link = await createLink(harness, 'acme');
    const [, query = ''] = link.split('?');
    expect((await send(harness.service.origin, `${path}?${query}`, { method })).status).toBe(401);
    const headers = bearer(query.slice('link='.length));
    expect((await send(harness.service.origin, path, { method, headers })).status).toBe(401);
    expect((await open(harness, link)).status).toBe(302);
  });

  it('is not accepted as a state, nor a state as a link', async () => {
    const path = await createLink(harness, 'acme');
    const signed = path.split('link=')[1] ?? '';
    const response = await send(harness.service.origin, `${PREFIX}/callback?code=c&realmId=1&state=${signed}`);
    expect(problemOf(response)).toBe('invalid_state');
    const state = new URL(String((await open(harness, path)).headers['location'])).searchParams.get('state');
    expectRejected(await open(harness, `${PREFIX}/connect/acme?link=${state}`));
  });

  itKeptSecrets(harness);

  function eventLines(organizationId: string): object[] {
    const lines = harness.logs.map((line) => JSON.parse(line));
    return lines.filter(({ event, organization_id }) => event && organization_id === organizationId);
  }
});

describeEachDatabase('a connect link', (createDatabase) => {
  const harness = useHarness(createDatabase, { env: WITH_KEYS });

  it('makes one connection if ten browsers open it and come back at once, and revokes the other grants', async () => {
    const path = await createLink(harness, 'acme');
    const opened = await Promise.all(Array.from({ length: 10 }, () => open(harness, path)));
    const flows = await Promise.all(opened.map((response, at) => toFlow(harness, response, String(500 + at))));
    harness.simulator.resetCalls();
    const responses = await Promise.all(flows.map((flow) => callback(harness.service, flow)));
    const statuses = responses.map(({ status }) => status).sort();
    expect(statuses).toEqual([302, ...Array.from({ length: 9 }, () => 401)]);
    expect((await harness.rows('acme')).map(({ is_active }) => is_active)).toEqual([1]);
    await harness.home.backgroundTasks.drain();
    const exchanged = harness.simulator.callsTo('token').length;
    expect(harness.revocations()).toBe(exchanged - 1);
    expect([await harness.knex('pending_grants'), await harness.pendingRevocations()]).toEqual([[], []]);
    const failed = (await harness.eventTypes('acme')).filter((type) => type === 'connect_failed');
    expect(failed).toHaveLength(9);
  });

  it('exchanges no code of a flow whose link another flow has consumed', async () => {
    const path = await createLink(harness, 'second');
    const [one, two] = [await open(harness, path), await open(harness, path)];
    await complete(harness.service, harness, one);
    const flow = await toFlow(harness, two, '77');
    harness.simulator.resetCalls();
    const response = await callback(harness.service, flow);
    expectProblem(response, 401, 'unauthorized', /ask for a new one/);
    expectProblem(await callback(harness.service, flow), 401, 'unauthorized', /ask for a new one/);
    expect(harness.simulator.calls).toEqual([]);
    expect(await harness.eventTypes('second')).toEqual(['connected', 'connect_failed']);
  });

  it('remains valid if the user declined, or the connection failed', async () => {
    const path = await createLink(harness, 'again');
    const refused = await toFlow(harness, await open(harness, path), '1', false);
    expect((await callback(harness.service, refused)).headers['location']).toContain('error=access_denied');
    harness.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    expect((await callback(harness.service, await toFlow(harness, await open(harness, path), '1'))).status).toBe(400);
    await complete(harness.service, harness, await open(harness, path));
    expectRejected(await open(harness, path));
  });

  itKeptSecrets(harness);
});

describe('a connect link, while OAUTH_STATE_SECRET is rotated,', () => {
  const [oldSecret, newSecret] = ['old-secret-0123456789-0123456789-abc', 'new-secret-0123456789-0123456789-abc'];
  const harness = useHarness(createSqlite, { env: { ...WITH_KEYS, OAUTH_STATE_SECRET: oldSecret } });

  it.each([
    ['behind', `${newSecret},${oldSecret}`],
    ['before', `${oldSecret},${newSecret}`],
  ])('is valid, as is its callback, if its secret is listed %s the new one', async (_, secrets) => {
    const path = await createLink(harness, 'acme');
    const flow = await open(harness, path);
    const rotated = await startRotated(secrets);
    expect((await send(rotated.origin, await createLink(harness, 'acme'))).status).toBe(302);
    await complete(rotated, harness, flow);
    expect((await send(rotated.origin, path)).status).toBe(401);
    await rotated.close();
  });

  it('is rejected once its secret is no longer listed', async () => {
    const rotated = await startRotated(newSecret);
    expectRejected(await send(rotated.origin, await createLink(harness, 'acme')));
    await rotated.close();
  });

  async function startRotated(secrets: string): Promise<TestService> {
    const { database, simulator, clock } = harness;
    const env = { ...WITH_KEYS, OAUTH_STATE_SECRET: secrets };
    return startService({ databaseUrl: database.url, simulator, clock, env });
  }
});

async function requestLink({ service }: Harness, organizationId: string, headers: Record<string, string> = {}) {
  const path = `${PREFIX}/connect/${organizationId}`;
  return send(service.origin, path, { method: 'POST', headers: { ...bearer(KEYS.billing), ...headers } });
}

/** Returns a new link's path and query. */
async function createLink(harness: Harness, organizationId: string): Promise<string> {
  const url = new URL(JSON.parse((await requestLink(harness, organizationId)).body).connect_url);
  expect(url.origin).toBe(new URL(REDIRECT_URI).origin);
  return url.pathname + url.search;
}

async function open({ service }: Harness, path: string): Promise<Sent> {
  return send(service.origin, path);
}

/** Follows the redirect to the end of the flow, as a browser does. */
async function complete(service: TestService, { simulator }: Harness, { headers }: Sent): Promise<void> {
  const response = await callback(service, await toFlow({ simulator }, { headers }));
  expect([response.status, response.headers['location']]).toEqual([302, expect.stringContaining('connected=true')]);
}

/** The user's consent to a company, or its refusal. Returns the callback. */
async function toFlow(
  { simulator }: Pick<Harness, 'simulator'>,
  { headers }: Pick<Sent, 'headers'>,
  realmId?: string,
  consent = true,
): Promise<{ path: string; cookie: string }> {
  const choice = { consent, ...(realmId === undefined ? {} : { realmId }) };
  const url = new URL(await simulator.authorize(String(headers['location']), choice));
  return { path: url.pathname + url.search, cookie: String(headers['set-cookie']).split(';')[0] ?? '' };
}

function expectRejected(response: Sent): void {
  const { status, headers } = response;
  expect([status, problemOf(response), headers['www-authenticate']]).toEqual([401, 'unauthorized', 'Bearer']);
  expect(headers).not.toHaveProperty('set-cookie');
}
