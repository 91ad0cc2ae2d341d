import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';

describeEachDatabase('the timeline', (createDatabase) => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env, WITH_KEYS);
  });
  const harness = useHarness(createDatabase, { env });
  beforeAll(async () => {
    await add('long', 1, 130);
    await add('short', 1, 50);
  });
  afterAll(() => keySet.close());

  it('returns the newest fifty events by default, and the position of the next page', async () => {
    const { body } = await read('long');
    expect(body.events.map(({ actor }: { actor: string }) => actor)).toEqual(actors(130, 81));
    expect(body.next).toEqual(expect.any(String));
    expect((await read('short')).body).toMatchObject({ events: Array(50).fill({ type: 'connected' }), next: null });
  });

  it('returns every event once over all pages, although new ones are recorded meanwhile', async () => {
    await add('pages', 1, 25);
    const seen: string[] = [];
    let before = '';
    for (let page = 1; page <= 4; page += 1) {
      const { body } = await read('pages', `?limit=7${before && `&before=${before}`}`);
      seen.push(...body.events.map(({ actor }: { actor: string }) => actor));
      expect(body.events).toHaveLength(page === 4 ? 4 : 7);
      expect(body.next === null).toBe(page === 4);
      before = body.next;
      await add('pages', 100 * page, 100 * page + 4);
    }
    expect(seen).toEqual(actors(25, 1));
  });

  it.each(['1', '200'])('accepts a limit of %s', async (limit) => {
    expect((await read('long', `?limit=${limit}`)).body.events).toHaveLength(Math.min(Number(limit), 130));
  });

  it.each([
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=1.5',
    'limit=ten',
    'limit=',
    'limit=1&limit=2',
    'before=',
    'before=-1',
    'before=x',
    'before=1&before=2',
    'before=9999999999999999999',
  ])('rejects %s as invalid_request', async (query) => {
    const name = query.startsWith('limit') ? /^limit / : /^before /;
    expectProblem(await read('long', `?${query}`), 400, 'invalid_request', name);
  });

  it('is empty for an organization without events', async () => {
    const response = await read('unknown');
    expect([response.status, response.body]).toEqual([200, { events: [], next: null }]);
    expect((await read('LONG')).body.events).toEqual([]);
  });

  it('is returned only to callers that can act for the organization', async () => {
    const own = await keySet.sign({ organization_id: 'long' });
    expect((await read('long', '', own)).status).toBe(200);
    expectProblem(await read('short', '', own), 403, 'forbidden');
    const anonymous = await supertest(harness.service.origin).get(`${PREFIX}/events/long`);
    expectProblem(anonymous, 401, 'unauthorized');
    expectProblem(await read('a.b'), 400, 'invalid_request', /organization_id/);
  });

  it('supports only GET and HEAD, and never calls Intuit', async () => {
    const http = supertest(harness.service.origin);
    await http.head(`${PREFIX}/events/long`).set(bearer(KEYS.billing)).expect(200);
    const response = await http.post(`${PREFIX}/events/long`).set(bearer(KEYS.billing));
    expectProblem(response, 405, 'method_not_allowed');
    expect(response.headers['allow']).toBe('GET, HEAD');
    expect(harness.simulator.calls).toEqual([]);
  });

  function read(organization: string, query = '', token: string = KEYS.billing): PromiseLike<Response> {
    return supertest(harness.service.origin).get(`${PREFIX}/events/${organization}${query}`).set(bearer(token));
  }

  /** Adds events that their actors' names distinguish. */
  async function add(organizationId: string, from: number, to: number): Promise<void> {
    const events = actors(from, to).map((actor) => ({
      event_id: randomUUID(),
      organization_id: harness.key(organizationId).organizationId,
      accounting_system: 'quickbooks',
      type: 'connected' as const,
      reason: null,
      realm_id: null,
      actor,
      intuit_tid: null,
      occurred_at: harness.clock.now(),
    }));
    await harness.knex('connection_events').insert(events);
  }
});

function actors(from: number, to: number): string[] {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => `a${from + step * index}`);
}
