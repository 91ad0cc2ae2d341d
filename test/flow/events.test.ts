import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { expire } from '../support/gateway.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { useStage } from '../support/stage.ts';

describeEachDatabase('the timeline', (createDatabase) => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env, WITH_KEYS, { PROVIDER_TIMEOUT_MS: '1500' });
  });
  const stage = useStage(createDatabase, env);
  beforeEach(() => {
    stage.simulator.settings.now = () => stage.clock();
  });
  afterAll(() => keySet.close());

  it('names who acted: a key, a subject, the author of a link', async () => {
    const user = await keySet.sign({ organization_id: 'acme', sub: 'user-7' });
    await connectAs(KEYS.billing, 'acme', { realmId: '1' });
    await connectAs(user, 'acme', { realmId: '2' });
    await post(user, 'disconnect/acme').expect(200);
    const { body } = await post(KEYS.reports, 'connect/acme').expect(201);
    await follow(await supertest(stage.service.origin).get(pathOf(body.connect_url)), { realmId: '1' });
    expect(await timeline('acme')).toMatchObject([
      { type: 'connected', actor: 'reports', realm_id: '1' },
      { type: 'disconnected', actor: 'user-7', realm_id: '2' },
      { type: 'reconnected', actor: 'user-7', realm_id: '2' },
      { type: 'connected', actor: 'billing', realm_id: '1' },
    ]);
  });

  it('tells each event with Intuit’s transaction id, and nothing else', async () => {
    await connectAs(KEYS.billing, 'shape', { realmId: '3' });
    expect(await timeline('shape')).toEqual([
      {
        event_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        type: 'connected',
        reason: null,
        realm_id: '3',
        actor: 'billing',
        intuit_tid: stage.simulator.callsTo('token')[0]?.intuitTid,
        occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    ]);
  });

  it('tells of consents that were refused and of companies that did not match', async () => {
    await connectAs(KEYS.billing, 'refused', { consent: false });
    stage.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    await connectAs(KEYS.reports, 'refused', { realmId: '4' });
    const [{ intuitTid: intuit_tid } = {}] = stage.simulator.callsTo('api');
    expect(await timeline('refused')).toMatchObject([
      { type: 'company_mismatch', actor: 'reports', realm_id: '4', reason: null, intuit_tid },
      { type: 'consent_refused', actor: 'billing', realm_id: null, reason: 'access_denied', intuit_tid: null },
    ]);
    expect(await stage.rows('refused')).toEqual([]);
  });

  it('tells of a loss by whoever met it, with its reason, and of the reconnecting', async () => {
    await connectAs(KEYS.billing, 'lost', { realmId: '5' });
    await expire(stage, 'lost');
    stage.simulator.revokeGrant('5');
    stage.simulator.resetCalls();
    await use('lost').expect(409);
    await use('lost').expect(409);
    const [{ intuitTid: intuit_tid } = {}] = stage.simulator.callsTo('token');
    await connectAs(KEYS.billing, 'lost', { realmId: '5' });
    expect(await timeline('lost')).toMatchObject([
      { type: 'reconnected', actor: 'billing' },
      { type: 'lost', actor: 'service', realm_id: '5', reason: 'authorization_revoked', intuit_tid },
      { type: 'connected', actor: 'billing' },
    ]);
  });

  it('tells once that renewals fail with no valid token left, until they succeed again', async () => {
    await connectAs(KEYS.billing, 'failing', { realmId: '6' });
    const start = stage.clock().getTime();
    stage.clock = () => new Date(start + 3_500_000); // still valid: served, and not told
    stage.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await use('failing').expect(200);
    expect(await types('failing')).toEqual(['connected']);
    for (const seconds of [3_700, 3_720, 3_740]) {
      stage.clock = () => new Date(start + seconds * 1_000);
      await use('failing').expect(503);
    }
    expect(await types('failing')).toEqual(['refresh_failing', 'connected']);
    stage.simulator.clearFaults();
    stage.clock = () => new Date(start + 3_800_000);
    await use('failing').expect(200);
    const told = await timeline('failing');
    expect(told.map(({ type, actor }) => `${type} by ${actor}`)).toEqual([
      'refresh_recovered by service',
      'refresh_failing by service',
      'connected by billing',
    ]);
    expect(told.every(({ intuit_tid }) => typeof intuit_tid === 'string')).toBe(true);
  });

  it('and what it tells of are one: where the event cannot be written, nothing is changed', async () => {
    await connectAs(KEYS.billing, 'atomic', { realmId: '7' });
    const before = await stage.rows('atomic');
    await stage.knex.schema.renameTable('connection_events', 'events_hidden');
    try {
      stage.simulator.resetCalls();
      expectProblem(await post(KEYS.billing, 'disconnect/atomic'), 503, 'service_unavailable');
      expectProblem(await connectAs(KEYS.billing, 'atomic', { realmId: '8' }), 503, 'service_unavailable');
      expectProblem(await connectAs(KEYS.billing, 'atomic', { consent: false }), 503, 'service_unavailable');
      expect(await stage.rows('atomic')).toEqual(before);
      await expire(stage, 'atomic');
      stage.simulator.fail({ on: 'token', kind: 'invalid_grant' });
      expectProblem(await use('atomic'), 503, 'service_unavailable');
      expect(await stage.activeRows('atomic')).toHaveLength(1);
      expect(await stage.knex('pending_revocations')).toEqual([]);
      expect(stage.simulator.callsTo('revoke')).toEqual([]);
    } finally {
      await stage.knex.schema.renameTable('events_hidden', 'connection_events');
    }
    expect(await types('atomic')).toEqual(['connected']);
  });

  it('has a line in the log for each of its events', async () => {
    const events = await stage.knex('connection_events').select('organization_id', 'type', 'actor', 'intuit_tid');
    const types = new Set<string>(events.map(({ type }) => type));
    const lines = stage.service.logs.map((line) => JSON.parse(line)).filter(({ event }) => types.has(event));
    const asText = (event: object) => JSON.stringify(event);
    const logged = lines.map(({ organization_id, event, actor, intuit_tid = null }) => {
      return asText({ organization_id, type: event, actor, intuit_tid });
    });
    expect(types.size).toBeGreaterThan(4);
    expect(logged.sort()).toEqual(events.map(asText).sort());
  });

  itKeptSecrets(stage);

  function post(token: string, path: string): supertest.Test {
    return supertest(stage.service.origin).post(`${PREFIX}/${path}`).set(bearer(token));
  }

  function use(organization: string): supertest.Test {
    const path = `/api/v1/quickbooks/${organization}/query?query=select%20*%20from%20Invoice`;
    return supertest(stage.service.origin).get(path).set(bearer(KEYS.billing));
  }

  async function connectAs(token: string, organization: string, choice: object): Promise<Response> {
    const path = `${PREFIX}/connect/${organization}`;
    return follow(await supertest(stage.service.origin).get(path).set(bearer(token)), choice);
  }

  /** Goes where a connect leads: to consent, and back with the cookie and no credentials. */
  async function follow(answer: Response, choice: object): Promise<Response> {
    const callback = await stage.simulator.authorize(answer.headers['location'] ?? '', choice);
    const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? '';
    return supertest(stage.service.origin).get(pathOf(callback)).set('Cookie', cookie);
  }

  async function timeline(organization: string): Promise<Record<string, unknown>[]> {
    const path = `${PREFIX}/events/${organization}`;
    const { body } = await supertest(stage.service.origin).get(path).set(bearer(KEYS.billing)).expect(200);
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
