import { afterAll, beforeAll, expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, useHarness } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { rowOf } from '../support/rows.ts';

const PATH = `${PREFIX}/connections`;

describeEachDatabase('the list of all connections', (createDatabase) => {
  const env: Record<string, string> = {};
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
    Object.assign(env, keySet.env, WITH_KEYS);
  });
  const harness = useHarness(createDatabase, { env, frozen: true, isolated: true });
  afterAll(() => keySet.close());

  it('contains each organization’s status, in the order of organizations, and no one that is not connected', async () => {
    for (const organization of ['b-active', 'a-lost', 'c-disconnected', 'A-active'])
      await harness.connect(organization);
    await harness.deactivate('a-lost');
    await harness.disconnect('c-disconnected');
    harness.simulator.resetCalls();
    const { status, body } = await list();
    expect([status, body.next]).toEqual([200, null]);
    expect(organizations(body)).toEqual(['A-active', 'a-lost', 'b-active']);
    for (const { organization_id, ...connection } of body.connections) {
      const own = await get(`${PREFIX}/status/${organization_id}`);
      expect(connection).toEqual(own.body);
    }
    expect(harness.simulator.calls).toEqual([]);
  });

  it('can be limited to a state', async () => {
    for (const organization of ['active', 'failing', 'lost', 'gone']) await harness.connect(organization);
    await harness.set('failing', { is_refresh_failing: 1 });
    await harness.set('lost', { is_refresh_failing: 1 });
    await harness.deactivate('lost');
    await harness.disconnect('gone');
    expect(organizations((await list('?state=active')).body)).toEqual(['active', 'failing']);
    expect(organizations((await list('?state=lost')).body)).toEqual(['lost']);
    expect(organizations((await list('?state=refresh_failing')).body)).toEqual(['failing']);
    expect(organizations((await list('?state=expiring')).body)).toEqual([]);
  });

  it('calls a connection expiring from thirty days before the end of its authorization', async () => {
    const now = harness.clock.now().getTime();
    const ends = { now: 0, soon: 7 * DAYS, last: 30 * DAYS, later: 30 * DAYS + 1, 'much-later': 31 * DAYS };
    for (const [organization, left] of Object.entries(ends)) {
      await harness.connect(organization);
      await harness.set(organization, { authorization_expires_at: new Date(now + left) });
    }
    await harness.connect('unknown');
    await harness.set('unknown', { authorization_expires_at: null });
    expect(organizations((await list('?state=expiring')).body)).toEqual(['last', 'now', 'soon']);
    expect(organizations((await list('?state=expiring&limit=2')).body)).toEqual(['last', 'now']);
    expect(organizations((await list('?state=expiring&after=now')).body)).toEqual(['soon']);
  });

  it('can be limited to a company', async () => {
    await harness.connect('one', '77');
    await harness.connect('two', '77');
    await harness.connect('three', '78');
    await harness.connect('four', '77');
    await harness.deactivate('four');
    expect(organizations((await list('?realm_id=77')).body)).toEqual(['four', 'one', 'two']);
    expect(organizations((await list('?realm_id=77&state=active')).body)).toEqual(['one', 'two']);
    expect(organizations((await list('?realm_id=77&state=lost&limit=1')).body)).toEqual(['four']);
    for (const state of ['expiring', 'refresh_failing'])
      expect(organizations((await list(`?realm_id=77&state=${state}`)).body)).toEqual([]);
    expect(organizations((await list('?realm_id=7')).body)).toEqual([]);
  });

  it('returns every connection once over all pages, fifty by default, although others are added meanwhile', async () => {
    await add('m', 120);
    const seen: string[] = [];
    const sizes: number[] = [];
    for (let query = '?'; ; ) {
      const { body } = await list(query);
      seen.push(...organizations(body));
      sizes.push(body.connections.length);
      await add(`a${sizes.length}-`, 3);
      if (body.next === null) break;
      query = `?after=${body.next}`;
    }
    expect(sizes).toEqual([50, 50, 20]);
    expect([...new Set(seen)]).toEqual(Array.from({ length: 120 }, (_, at) => `m${String(at).padStart(4, '0')}`));
    expect((await list('?limit=200')).body.connections).toHaveLength(129);
    expect((await list('?limit=129')).body.next).toBeNull();
    expect((await list('?limit=128')).body.next).toBe('m0118');
  });

  it.each([
    ['state=gone', /^state /],
    ['state=', /^state /],
    ['state=lost&state=active', /^state /],
    ['realm_id=', /^realm_id /],
    ['realm_id=1&realm_id=2', /^realm_id must be given once/],
    ['limit=0', /^limit /],
    ['limit=201', /^limit /],
    ['after=a.b', /^after /],
    ['after=a&after=b', /^after /],
    ['organisation_id=acme', /^organisation_id is not a known parameter/],
    ['before=acme', /^before is not a known parameter/],
  ])('rejects %s as invalid_request', async (query, detail) => {
    expectProblem(await list(`?${query}`), 400, 'invalid_request', detail);
  });

  it('is returned to API keys only: never to a user, whatever the token says', async () => {
    const scope = 'connections:list connections:read';
    for (const claims of [{ organization_id: 'acme' }, { organization_id: 'acme', scope }]) {
      expectProblem(await list('', await keySet.sign(claims)), 403, 'forbidden', /connections:list/);
    }
    expectProblem(await supertest(harness.service.origin).get(PATH), 401, 'unauthorized');
  });

  it('supports only GET and HEAD', async () => {
    const http = supertest(harness.service.origin);
    await http.head(PATH).set(bearer(KEYS.billing)).expect(200);
    const response = await http.post(PATH).set(bearer(KEYS.billing));
    expectProblem(response, 405, 'method_not_allowed');
    expect(response.headers['allow']).toBe('GET, HEAD');
  });

  function list(query = '', token: string = KEYS.billing): PromiseLike<Response> {
    return get(`${PATH}${query}`, token);
  }

  function get(path: string, token: string = KEYS.billing): PromiseLike<Response> {
    return supertest(harness.service.origin).get(path).set(bearer(token));
  }

  async function add(prefix: string, count: number): Promise<void> {
    const rows = Array.from({ length: count }, (_, at) =>
      rowOf({ organization_id: `${prefix}${String(at).padStart(4, '0')}` }),
    );
    await harness.knex('oauth_tokens').insert(rows);
  }
});

function organizations({ connections }: { connections: { organization_id: string }[] }): string[] {
  return connections.map(({ organization_id }) => organization_id);
}
