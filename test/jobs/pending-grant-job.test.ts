import { expect, it } from '@jest/globals';
import type { PendingGrantRow } from '../../src/db/tables.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, MINUTES, useHarness } from '../support/harness.ts';
import { callback, expectProblem } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('the job for grants that a stopped process left', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });

  it('verifies the company and makes the connection, with the callback’s actor and event', async () => {
    await leave('acme', '1');
    await harness.home.worker.tick();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false }); // the process may be at work
    await runWhenDue();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, company_name: expect.any(String) });
    expect(await harness.events('acme')).toMatchObject([{ type: 'connected', actor: 'browser', realm_id: '1' }]);
    expect([harness.revocations(), await harness.knex('pending_grants')]).toEqual([0, []]);
    expect(harness.simulator.callsTo('token')).toEqual([]);
  });

  it('stores tokens that the connection can decrypt: they remain bound to their row', async () => {
    await leave('acme', '1');
    await runWhenDue();
    expect(await harness.use('acme')).toBe(200);
  });

  it('rejects a grant whose tokens were copied from another one', async () => {
    await leave('acme', '1');
    await leave('globex', '2');
    const [one] = await harness.knex('pending_grants').where('organization_id', 'acme');
    const { access_token, refresh_token, token_digest } = one as PendingGrantRow;
    await harness.knex('pending_grants').update({ access_token, refresh_token, token_digest });
    await runWhenDue();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '1' });
    expect(await status(harness.service, 'globex')).toMatchObject({ connected: false });
    const lines = harness.logs.map((line) => JSON.parse(line)).filter(({ event }) => event === 'pending_grant.failed');
    expect(lines).toMatchObject([{ level: 50, organization_id: 'globex' }]);
  });

  it('makes an unproven connection if the access token has expired', async () => {
    await leave('acme', '1');
    harness.clock.advance(2 * HOURS);
    harness.simulator.resetCalls();
    await harness.home.worker.tick();
    expect(await harness.row('acme')).toMatchObject({ is_active: 1, company_name: null });
    expect(harness.simulator.callsTo('api').filter(({ token }) => token === undefined)).toEqual([]);
  });

  it('ends a grant that does not give access to its company, and revokes nothing', async () => {
    const flow = await leave('acme', '1');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    await runWhenDue();
    expect([await harness.rows('acme'), harness.revocations(), await harness.knex('pending_grants')]).toEqual([
      [],
      0,
      [],
    ]);
    expect(await harness.eventTypes('acme')).toEqual(['company_mismatch']);
    expectProblem(await callback(harness.service, flow), 400, 'company_mismatch');
  });

  it('does not replace a newer connection, nor undo a disconnect', async () => {
    await leave('acme', '1');
    await leave('globex', '2');
    harness.clock.advance(1);
    await harness.connect('acme', '3');
    await harness.connect('globex', '4');
    await harness.disconnect('globex');
    harness.simulator.resetCalls();
    await runWhenDue();
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '3' });
    expect(await status(harness.service, 'globex')).toMatchObject({ connected: false });
    expect(harness.revocations()).toBe(2);
  });

  it('completes each grant once, however many workers there are', async () => {
    const replicas = [harness.home, await harness.replica(), await harness.replica()];
    for (let at = 0; at < 5; at += 1) await leave(`org-${at}`, String(10 + at));
    harness.clock.advance(3 * MINUTES);
    await Promise.all(replicas.map(({ worker }) => worker.tick()));
    for (let at = 0; at < 5; at += 1) expect(await harness.eventTypes(`org-${at}`)).toEqual(['connected']);
    expect(harness.simulator.callsTo('api')).toHaveLength(5);
  });

  it.each([
    ['discards the other unwanted grants while those of one company fail', ['9', '9', '9', '9', '9'], 5, 0],
    ['pauses once unwanted grants of three companies failed', ['1', '2', '3', '4', '5'], 3, 1],
  ])('%s', async (_, realmIds, calls, cooldowns) => {
    const { worker } = await harness.replica();
    for (const [at, realmId] of realmIds.entries()) await leave(`org-${at}`, realmId);
    await harness.knex('pending_grants').update({ phase: 'unwanted', next_attempt_at: harness.clock.now() });
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503, times: null });
    const before = harness.logs.length;
    await worker.tick();
    expect(harness.simulator.callsTo('api')).toHaveLength(calls);
    const lines = harness.logs.slice(before).filter((line) => line.includes('"event":"worker.cooldown"'));
    expect(lines).toHaveLength(cooldowns);
  });

  itKeptSecrets(harness);

  async function runWhenDue(): Promise<void> {
    harness.clock.advance(3 * MINUTES);
    await harness.home.worker.tick();
  }

  /** A callback whose process stops right after it stored the grant. */
  async function leave(organization: string, realmId: string): Promise<{ path: string; cookie: string }> {
    const flow = await consent(harness.service, harness.simulator, organization, { realmId });
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const before = harness.simulator.callsTo('api').length;
    const response = callback(harness.service, flow).then((value) => value);
    await until(() => harness.simulator.callsTo('api').length > before);
    const stored = await harness.knex('pending_grants').where('organization_id', organization as never);
    const [{ state_id } = { state_id: '' }] = stored;
    await harness
      .knex('pending_grants')
      .where('organization_id', organization as never)
      .delete();
    const states = harness.knex('oauth_states').where({ state_id });
    await states.clone().update({ outcome: 'failed', outcome_detail: 'invalid_state' }); // otherwise it would be stored again
    release();
    await response;
    await harness.knex('pending_grants').insert(stored);
    await states.update({ outcome: null, outcome_detail: null });
    harness.simulator.resetCalls();
    return flow;
  }
});
