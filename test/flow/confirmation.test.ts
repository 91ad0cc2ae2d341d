import { expect, it } from '@jest/globals';
import supertest, { type Response } from 'supertest';
import type { RealmId } from '../../src/models/connection.ts';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { callback, expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';

describeEachDatabase('a connection that must be confirmed', (createDatabase) => {
  const harness = useHarness(createDatabase, {
    env: { ...WITH_KEYS, CONNECT_CONFIRMATION: 'true' },
    isolated: true,
    frozen: true,
  });

  it('takes effect once the frontend confirms it', async () => {
    const { response, confirmation } = await consent('acme', '1');
    const { searchParams, origin, pathname } = new URL(String(response.headers['location']));
    expect(origin + pathname).toBe(`${FRONTEND_URL}/settings/integrations`);
    expect([...searchParams.keys()]).toEqual(['connected', 'system', 'confirmation']);
    expect([searchParams.get('connected'), searchParams.get('system')]).toEqual(['pending', 'quickbooks']);
    expect(await status('acme')).toMatchObject({ connected: false, realm_id: null });
    expect(await harness.eventTypes('acme')).toEqual([]);

    const confirmed = await confirm('acme', { confirmation });
    expect(confirmed.status).toBe(200);
    expect(confirmed.body).toMatchObject({ connected: true, realm_id: '1', company_name: expect.any(String) });
    expect(confirmed.body).toEqual(await status('acme'));
    expect(await harness.events('acme')).toMatchObject([{ type: 'connected', actor: 'reports' }]);
    expect(await use('acme')).toBe(200);
    expect(await harness.knex('pending_grants')).toEqual([]);
  });

  it('leaves the existing connection unchanged until then, and replaces it then', async () => {
    await connect('acme', '1');
    const before = await harness.rows('acme');
    const { confirmation } = await consent('acme', '2');
    expect(await harness.rows('acme')).toEqual(before);
    expect(await use('acme')).toBe(200);
    await confirm('acme', { confirmation });
    expect(await status('acme')).toMatchObject({ connected: true, realm_id: '2' });
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
  });

  it('keeps its company from being revoked by another organization while it waits', async () => {
    await connect('other', '1');
    const { confirmation } = await consent('acme', '1');
    const { revocation } = (await harness.home.oauthService.disconnect(harness.key('other'), 'billing')) ?? {};
    expect([revocation, harness.revocations()]).toEqual(['deferred', 0]);
    await confirm('acme', { confirmation });
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await use('acme')).toBe(200);
  });

  it('rejects a confirmation that is wrong, used, expired or another organization’s', async () => {
    const { confirmation } = await consent('acme', '1');
    const wrong = [`${confirmation}x`, `${confirmation.slice(0, -1)}`, 'x', confirmation.split('.')[0]];
    for (const each of wrong) expectProblem(await confirm('acme', { confirmation: each }), 400, 'invalid_confirmation');
    expectProblem(await confirm('globex', { confirmation }), 400, 'invalid_confirmation');
    expectProblem(await confirm('ACME', { confirmation }), 400, 'invalid_confirmation');
    expect((await confirm('acme', { confirmation })).status).toBe(200);
    expectProblem(await confirm('acme', { confirmation }), 400, 'invalid_confirmation');
    const later = await consent('acme', '2');
    harness.clock.advance(10 * MINUTES);
    expectProblem(await confirm('acme', { confirmation: later.confirmation }), 400, 'invalid_confirmation');
    expect(await status('acme')).toMatchObject({ connected: true, realm_id: '1' });
  });

  it('does not replace a connection if its row was changed: its tokens could not be used', async () => {
    await connect('acme', '1');
    const { confirmation } = await consent('acme', '2');
    await harness.knex('pending_grants').update({ realm_id: '3' as RealmId });
    expectProblem(await confirm('acme', { confirmation }), 500, 'internal_error');
    expect(await status('acme')).toMatchObject({ connected: true, realm_id: '1' });
    expect(await use('acme')).toBe(200);
  });

  it('is confirmed by one of ten concurrent requests', async () => {
    const { confirmation } = await consent('acme', '1');
    const responses = await Promise.all(Array.from({ length: 10 }, () => confirm('acme', { confirmation })));
    expect(responses.map((response) => response.status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 400)]);
    expect(await harness.rows('acme')).toHaveLength(1);
  });

  it('returns the same confirmation to the same browser again, and the connection once it is confirmed', async () => {
    const { flow, confirmation } = await consent('acme', '1');
    expect(confirmationOf(await callback(harness.service, flow))).toBe(confirmation);
    await confirm('acme', { confirmation });
    expect((await callback(harness.service, flow)).headers['location']).toContain('connected=true');
    expect(harness.simulator.callsTo('token')).toHaveLength(1);
  });

  it('is deleted, revoked and reported if it is not confirmed within ten minutes', async () => {
    const { flow } = await consent('acme', '1');
    await harness.runWorker(10 * MINUTES - 1 * SECONDS, 1 * MINUTES);
    expect([harness.revocations(), await harness.eventTypes('acme')]).toEqual([0, []]);
    await harness.runWorker(1 * SECONDS, 1 * SECONDS);
    expect([harness.revocations(), harness.simulator.grantFor('1')?.revoked]).toEqual([1, true]);
    expect(await harness.knex('pending_grants')).toEqual([]);
    expect(await harness.events('acme')).toMatchObject([
      { type: 'confirmation_expired', realm_id: '1', actor: 'service' },
    ]);
    expectProblem(await callback(harness.service, flow), 400, 'invalid_state'); // the state has expired as well
  });

  it('is not revoked if an active connection uses its company', async () => {
    await connect('globex', '1');
    await consent('acme', '1');
    await harness.runWorker(10 * MINUTES, 10 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await harness.eventTypes('acme')).toEqual(['confirmation_expired']);
    expect(await status('globex')).toMatchObject({ connected: true });
  });

  it('is not revoked if its company turns out to be another one', async () => {
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    await consent('acme', '1');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 401 });
    await harness.runWorker(12 * MINUTES, 10 * MINUTES);
    expect([harness.revocations(), await harness.knex('pending_grants')]).toEqual([0, []]);
    expect(await harness.eventTypes('acme')).toEqual(['confirmation_expired']);
  });

  it('consumes its link when it is confirmed: a second one of the same link is ended', async () => {
    const { body } = await post('connect/acme').send({}).expect(201);
    const link = new URL(body.connect_url);
    const [one, two] = [await consentByLink(link, '1'), await consentByLink(link, '2')];
    expect((await confirm('acme', { confirmation: one.confirmation })).status).toBe(200);
    expectProblem(await confirm('acme', { confirmation: two.confirmation }), 400, 'invalid_confirmation');
    expect(await status('acme')).toMatchObject({ realm_id: '1' });
    expect(harness.simulator.grantFor('2')?.revoked).toBe(true);
  });

  it.each<[object, string]>([
    [{}, 'confirmation is required'],
    [{ confirmation: '' }, 'confirmation is required'],
    [{ confirmation: 7 }, 'confirmation must be a string'],
    [{ confirmation: 'x'.repeat(1001) }, 'confirmation must be at most'],
    [{ confirmation: 'x', other: 1 }, 'other is not a known field'],
  ])('names what is wrong with the body %j', async (body, detail) => {
    const response = await confirm('acme', body);
    expectProblem(response, 400, 'invalid_request');
    expect(response.body.detail).toContain(detail);
  });

  it('is confirmed only with credentials', async () => {
    const { confirmation } = await consent('acme', '1');
    const response = await supertest(harness.service.origin).post(`${PREFIX}/confirm/acme`).send({ confirmation });
    expectProblem(response, 401, 'unauthorized');
  });

  it('leaves no confirmation in a log line, in the database, or in plain text beside it', async () => {
    const { confirmation } = await consent('acme', '1');
    const stored = [await harness.knex('pending_grants'), await harness.knex('oauth_states')];
    await confirm('acme', { confirmation });
    const texts = [JSON.stringify(stored), ...harness.logs].join('\n');
    for (const part of [confirmation, ...confirmation.split('.')]) expect(texts).not.toContain(part);
    const grant = harness.simulator.grantFor('1');
    for (const token of [grant?.refreshToken, ...(grant?.accessTokens ?? [])]) expect(texts).not.toContain(token);
  });

  itKeptSecrets(harness);

  function post(path: string, key: string = KEYS.billing): supertest.Test {
    return supertest(harness.service.origin).post(`${PREFIX}/${path}`).set(bearer(key));
  }

  async function confirm(organization: string, body: object): Promise<Response> {
    return post(`confirm/${organization}`, KEYS.reports).send(body);
  }

  async function status(organization: string): Promise<object> {
    return (await supertest(harness.service.origin).get(`${PREFIX}/status/${organization}`).set(bearer(KEYS.billing)))
      .body;
  }

  async function use(organization: string): Promise<number> {
    return harness.use(organization);
  }

  async function connect(organization: string, realmId: string): Promise<void> {
    const { confirmation } = await consent(organization, realmId);
    expect((await confirm(organization, { confirmation })).status).toBe(200);
    harness.simulator.resetCalls();
  }

  async function consent(organization: string, realmId: string) {
    const url = new URL(`${PREFIX}/connect/${organization}`, harness.service.origin);
    return consentByLink(url, realmId, bearer(KEYS.billing));
  }

  /** Opens a link and consents. Returns the callback, its response and the confirmation. */
  async function consentByLink({ pathname, search }: URL, realmId: string, headers: Record<string, string> = {}) {
    const started = await supertest(harness.service.origin)
      .get(pathname + search)
      .set(headers)
      .expect(302);
    const url = new URL(await harness.simulator.authorize(String(started.headers['location']), { realmId }));
    const flow = { path: url.pathname + url.search, cookie: String(started.headers['set-cookie']).split(';')[0] ?? '' };
    const response = await callback(harness.service, flow);
    return { flow, response, confirmation: confirmationOf(response) };
  }
});

function confirmationOf({ headers }: Response): string {
  return new URL(String(headers['location'])).searchParams.get('confirmation') ?? '';
}
