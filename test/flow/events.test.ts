import { afterAll, beforeAll, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { until } from '../support/until.ts';

describeEachDatabase('the timeline', (createDatabase) => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env, WITH_KEYS);
  });
  const harness = useHarness(createDatabase, { env });
  afterAll(() => keySet.close());

  it('names the actor: an API key, a JWT’s subject, or the caller that requested the link', async () => {
    const user = await keySet.sign({ organization_id: 'acme', sub: 'user-7' });
    await connectAs(KEYS.billing, 'acme', { realmId: '1' });
    await connectAs(user, 'acme', { realmId: '2' });
    await post(user, 'disconnect/acme').expect(200);
    const { body } = await post(KEYS.reports, 'connect/acme').expect(201);
    await follow(await supertest(harness.service.origin).get(pathOf(body.connect_url)), { realmId: '1' });
    expect(await timeline('acme')).toMatchObject([
      { type: 'connected', actor: 'reports', realm_id: '1' },
      { type: 'disconnected', actor: 'user-7', realm_id: '2' },
      { type: 'reconnected', actor: 'user-7', realm_id: '2' },
      { type: 'connected', actor: 'billing', realm_id: '1' },
    ]);
  });

  it('returns exactly the documented fields, with Intuit’s transaction ID', async () => {
    await connectAs(KEYS.billing, 'fields', { realmId: '3' });
    expect(await timeline('fields')).toEqual([
      {
        event_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        type: 'connected',
        reason: null,
        realm_id: '3',
        actor: 'billing',
        intuit_tid: harness.simulator.callsTo('token')[0]?.intuitTid,
        occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    ]);
  });

  it('contains refused consents and company mismatches, although neither stores a connection', async () => {
    await connectAs(KEYS.billing, 'mismatch', { consent: false });
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    await connectAs(KEYS.reports, 'mismatch', { realmId: '4' });
    const [{ intuitTid: intuit_tid } = {}] = harness.simulator.callsTo('api');
    expect(await timeline('mismatch')).toMatchObject([
      { type: 'company_mismatch', actor: 'reports', realm_id: '4', reason: null, intuit_tid },
      { type: 'consent_refused', actor: 'billing', realm_id: null, reason: 'access_denied', intuit_tid: null },
    ]);
    expect(await harness.rows('mismatch')).toEqual([]);
  });

  it('contains a loss once, with its reason and the service as actor, and the reconnect that follows', async () => {
    await connectAs(KEYS.billing, 'lost', { realmId: '5' });
    await harness.expire('lost');
    harness.simulator.revokeGrant('5');
    harness.simulator.resetCalls();
    await use('lost').expect(409);
    await use('lost').expect(409);
    const [{ intuitTid: intuit_tid } = {}] = harness.simulator.callsTo('token');
    await connectAs(KEYS.billing, 'lost', { realmId: '5' });
    expect(await timeline('lost')).toMatchObject([
      { type: 'reconnected', actor: 'billing' },
      { type: 'lost', actor: 'service', realm_id: '5', reason: 'authorization_revoked', intuit_tid },
      { type: 'connected', actor: 'billing' },
    ]);
  });

  it('contains failing refreshes once when no valid token is left, and their recovery', async () => {
    await connectAs(KEYS.billing, 'failing', { realmId: '6' });
    harness.clock.advance(58 * MINUTES); // the token is still valid: it is used, and the failure is no event
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await use('failing').expect(200);
    await harness.home.backgroundTasks.drain();
    expect(harness.refreshes()).toBe(1);
    expect(await types('failing')).toEqual(['connected']);
    for (const minutes of [4, 1, 1]) {
      harness.clock.advance(minutes * MINUTES);
      await harness.endBackOffs();
      await use('failing').expect(503);
    }
    expect(await types('failing')).toEqual(['refresh_failing', 'connected']);
    harness.simulator.clearFaults();
    await harness.endBackOffs();
    await use('failing').expect(200);
    const events = await timeline('failing');
    expect(events.map(({ type, actor }) => `${type} by ${actor}`)).toEqual([
      'refresh_recovered by service',
      'refresh_failing by service',
      'connected by billing',
    ]);
    expect(events.every(({ intuit_tid }) => typeof intuit_tid === 'string')).toBe(true);
  });

  it('is written with the change itself: if the event cannot be recorded, nothing is changed', async () => {
    const { simulator, knex } = harness;
    await connectAs(KEYS.billing, 'atomic', { realmId: '7' });
    const before = await harness.rows('atomic');
    await knex.schema.renameTable('connection_events', 'events_hidden');
    try {
      simulator.resetCalls();
      await expectNotRecorded(() => post(KEYS.billing, 'disconnect/atomic'));
      await expectNotRecorded(() => connectAs(KEYS.billing, 'atomic', { consent: false }));
      expect(await harness.rows('atomic')).toEqual(before);
      await harness.expire('atomic');
      simulator.fail({ on: 'token', kind: 'invalid_grant' });
      await expectNotRecorded(() => use('atomic'));
      expect(await harness.activeRows('atomic')).toHaveLength(1);
      await expectNotRecorded(() => connectAs(KEYS.billing, 'atomic', { realmId: '8' }));
      expect((await harness.activeRows('atomic')).map(({ realm_id }) => realm_id)).toEqual(['7']);
      expect(await harness.pendingRevocations()).toEqual([]);
      expect(harness.revocations()).toBe(0);
    } finally {
      await knex.schema.renameTable('events_hidden', 'connection_events');
    }
    await harness.home.backgroundTasks.drain(); // the grant of the reconnect was kept
    expect(await types('atomic')).toEqual(['reconnected', 'connected']);
  });

  it('contains a failed connect with its code, once however often its state is sent, and how the exchange ended', async () => {
    const { service, simulator } = harness;
    const path = `${PREFIX}/connect/failing-connects`;
    const { headers } = await supertest(service.origin).get(path).set(bearer(KEYS.billing));
    const url = pathOf(await simulator.authorize(headers['location'] ?? '', { realmId: '9' }));
    const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
    const send = (sent: string, cookies = cookie) => supertest(service.origin).get(sent).set('Cookie', cookies);
    await send(url.replace('code=', 'no=')).expect(400);
    await send(url, '').expect(400);
    await send(url.replace('state=', 'state=x')).expect(400); // no state of this service: whose flow it is, is unknown
    simulator.fail({ on: 'token', kind: 'invalid_grant' });
    await send(url).expect(400);
    await send(url).expect(400);
    harness.clock.advance(11 * MINUTES);
    await send(url).expect(400);
    expect(await timeline('failing-connects')).toMatchObject([
      { type: 'connect_failed', reason: 'authorization_code_rejected', actor: 'billing', realm_id: null },
      { type: 'connect_failed', reason: 'invalid_request' },
    ]);
    const lines = harness.logs.map((line) => JSON.parse(line));
    const requests = lines.filter(
      ({ route, organization_id }) => route?.endsWith('/callback') && organization_id === 'failing-connects',
    );
    expect(requests).toHaveLength(5); // each with its organization, also if the state was rejected
  });

  it('has a log line for each of its events', async () => {
    const events = await harness.knex('connection_events').select('organization_id', 'type', 'actor', 'intuit_tid');
    const lines = harness.logs.map((line) => JSON.parse(line));
    const logged = lines
      .filter(({ event }) => event?.startsWith('connection.'))
      .map(({ organization_id, event, actor, intuit_tid = null }) =>
        JSON.stringify({ organization_id, type: event.slice('connection.'.length), actor, intuit_tid }),
      );
    expect(new Set(events.map(({ type }) => type)).size).toBeGreaterThan(4);
    expect(logged.sort()).toEqual(events.map((event) => JSON.stringify(event)).sort());
  });

  itKeptSecrets(harness);

  /** Sends a request whose event cannot be recorded, and lets the time for retries pass. */
  async function expectNotRecorded(request: () => PromiseLike<Response>): Promise<void> {
    harness.queries.splice(0);
    const response = Promise.resolve(request());
    await until(() => harness.queries.some((sql) => sql.startsWith('insert into `connection_events`')));
    harness.clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'service_unavailable');
  }

  function post(token: string, path: string): supertest.Test {
    return supertest(harness.service.origin).post(`${PREFIX}/${path}`).set(bearer(token));
  }

  function use(organization: string): supertest.Test {
    const path = `/api/v1/quickbooks/${organization}/query?query=select%20*%20from%20Invoice`;
    return supertest(harness.service.origin).get(path).set(bearer(KEYS.billing));
  }

  async function connectAs(token: string, organization: string, choice: object): Promise<Response> {
    const path = `${PREFIX}/connect/${organization}`;
    return follow(await supertest(harness.service.origin).get(path).set(bearer(token)), choice);
  }

  /** Follows the redirect to the consent page, and back with the cookie and without credentials. */
  async function follow({ headers }: Response, choice: object): Promise<Response> {
    const callback = await harness.simulator.authorize(headers['location'] ?? '', choice);
    const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
    return supertest(harness.service.origin).get(pathOf(callback)).set('Cookie', cookie);
  }

  async function timeline(organization: string): Promise<Record<string, unknown>[]> {
    const path = `${PREFIX}/events/${organization}`;
    const { body } = await supertest(harness.service.origin).get(path).set(bearer(KEYS.billing)).expect(200);
    return body.events;
  }

  async function types(organization: string): Promise<unknown[]> {
    return (await timeline(organization)).map(({ type }) => type);
  }
});

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
