import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { useStage } from '../support/stage.ts';

describeEachDatabase('reading the timeline', (createDatabase) => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env, WITH_KEYS);
  });
  const stage = useStage(createDatabase, env);
  beforeAll(async () => {
    await add('long', 1, 130);
    await add('short', 1, 50);
  });
  afterAll(() => keySet.close());

  it('gives the newest fifty unless told otherwise, and where to go on', async () => {
    const { body } = await read('long');
    expect(body.events.map(({ actor }: { actor: string }) => actor)).toEqual(actors(130, 81));
    expect(body.next).toEqual(expect.any(String));
    expect((await read('short')).body).toMatchObject({ events: Array(50).fill({ type: 'connected' }), next: null });
  });

  it('goes through all events once, though others come in on the way', async () => {
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

  it.each(['1', '200'])('takes a limit of %s', async (limit) => {
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
  ])('is invalid_request with %s', async (query) => {
    const name = query.slice(0, 5) === 'limit' ? /^limit / : /^before /;
    expectProblem(await read('long', `?${query}`), 400, 'invalid_request', name);
  });

  it('gives an empty list to an organization of which nothing is known', async () => {
    const answer = await read('nobody');
    expect([answer.status, answer.body]).toEqual([200, { events: [], next: null }]);
    expect((await read('LONG')).body.events).toEqual([]);
  });

  it('is for the organization alone', async () => {
    const own = await keySet.sign({ organization_id: 'long' });
    expect((await read('long', '', own)).status).toBe(200);
    expectProblem(await read('short', '', own), 403, 'forbidden');
    const none = await supertest(stage.service.origin).get(`${PREFIX}/events/long`);
    expectProblem(none, 401, 'unauthorized');
    expectProblem(await read('a.b'), 400, 'invalid_request', /organization_id/);
  });

  it('knows GET and HEAD alone, and speaks to nobody else', async () => {
    const at = supertest(stage.service.origin);
    await at.head(`${PREFIX}/events/long`).set(bearer(KEYS.billing)).expect(200);
    const answer = await at.post(`${PREFIX}/events/long`).set(bearer(KEYS.billing));
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers['allow']).toBe('GET, HEAD');
    expect(stage.simulator.calls).toEqual([]);
  });

  function read(organization: string, query = '', token: string = KEYS.billing): PromiseLike<Response> {
    return supertest(stage.service.origin).get(`${PREFIX}/events/${organization}${query}`).set(bearer(token));
  }

  /** Events of made-up actors, who tell them apart. */
  async function add(organization_id: string, from: number, to: number): Promise<void> {
    const events = actors(from, to).map((actor) => ({
      event_id: randomUUID(),
      organization_id,
      accounting_system: 'quickbooks' as const,
      type: 'connected' as const,
      actor,
      occurred_at: stage.clock(),
    }));
    await stage.knex('connection_events').insert(events);
  }
});

function actors(from: number, to: number): string[] {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => `a${from + step * index}`);
}
