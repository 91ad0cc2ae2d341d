import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { FRONTEND_URL } from '../support/environment.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { callback, changed, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, status } from '../support/service.ts';
import { until } from '../support/until.ts';

const CONNECTED = `${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`;

describeEachDatabase('a browser that sends its callback again', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('gets the outcome of its first request, without a call to Intuit, with whatever code', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'repeated');
    expect((await callback(service, flow)).headers['location']).toBe(CONNECTED);
    simulator.resetCalls();
    for (const path of [
      flow.path,
      changed(flow.path, { code: 'other' }),
      changed(flow.path, { error: 'access_denied' }),
    ]) {
      expect((await callback(service, { ...flow, path })).headers['location']).toBe(CONNECTED);
    }
    expect(simulator.calls).toEqual([]);
    expect(await harness.eventTypes('repeated')).toEqual(['connected']);
  });

  it('gets the same error again if the exchange failed', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'failed');
    simulator.fail({ on: 'token', kind: 'status', status: 503 });
    expectProblem(await callback(service, flow), 503, 'provider_unavailable');
    const repeated = await callback(service, flow);
    expectProblem(repeated, 503, 'provider_unavailable', /QuickBooks/);
    expectRetryAfter(repeated);
    expect(simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.rows('failed')).toEqual([]);
    expect(await harness.eventTypes('failed')).toEqual(['connect_failed']);
  });

  it('gets the same error again if the company does not match', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'mismatch');
    simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    for (let time = 0; time < 2; time += 1) expectProblem(await callback(service, flow), 400, 'company_mismatch');
    expect(simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.eventTypes('mismatch')).toEqual(['company_mismatch']);
    expect(await harness.knex('pending_grants')).toEqual([]);
  });

  it('gets the user’s refusal again', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'declined', { consent: false });
    for (let time = 0; time < 2; time += 1) {
      expect((await callback(service, flow)).headers['location']).toContain(
        'connected=false&system=quickbooks&error=access_denied',
      );
    }
    expect(await harness.eventTypes('declined')).toEqual(['consent_refused']);
  });

  it('waits while the first request is in progress, on another replica as well, and exchanges once', async () => {
    const { service, simulator } = harness;
    const replica = await harness.replica();
    const flow = await consent(service, simulator, 'double');
    simulator.resetCalls();
    const release = simulator.hold({ on: 'token', kind: 'slow_after' });
    const first = callback(service, flow);
    await until(() => simulator.callsTo('token').length === 1);
    const url = new URL(flow.path, 'http://any');
    const parameters = await replica.oauthService.parseCallback('quickbooks', Object.fromEntries(url.searchParams));
    const [, secret] = flow.cookie.split('=');
    const second = replica.oauthService.callback('quickbooks', parameters, secret);
    const third = callback(service, flow);
    release();
    expect((await first).headers['location']).toBe(CONNECTED);
    expect((await third).headers['location']).toBe(CONNECTED);
    expect(await second).toEqual({ kind: 'connected', isRepeated: true });
    expect(simulator.callsTo('token')).toHaveLength(1);
    expect(await harness.eventTypes('double')).toEqual(['connected']);
  });

  it('waits no longer than PROVIDER_TIMEOUT_MS', async () => {
    const { service, simulator, clock } = harness;
    const flow = await consent(service, simulator, 'slow');
    const parameters = new URL(flow.path, 'http://any').searchParams;
    const state = harness.home.states.read(parameters.get('state'), 'quickbooks');
    await harness.knex('oauth_states').insert({ state_id: state?.id ?? '', expires_at: clock.now() }); // by a process that died
    harness.queries.splice(0);
    const response = callback(service, flow).then((value) => value);
    await until(() => harness.queries.some((sql) => sql.includes('outcome_detail')));
    clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'provider_unavailable');
  });

  it('is not helped by its state in another browser', async () => {
    const { service, simulator } = harness;
    const flow = await consent(service, simulator, 'stolen');
    await callback(service, flow);
    expectProblem(await callback(service, { ...flow, cookie: '' }), 400, 'invalid_state', /another browser/);
    expect(await status(service, 'stolen')).toMatchObject({ connected: true });
  });

  itKeptSecrets(harness);
});
