import { afterEach, expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { stopReplication } from '../support/lost-commits.ts';
import { callback, expectProblem } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, disconnect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('a grant that is being completed', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('does not replace the connection that was made while its process was paused', async () => {
    const { response, proceed } = await connectUntil('readCompany', '1');
    harness.clock.advance(13 * SECONDS);
    const other = await harness.replica();
    await connectThrough(other, '2');
    proceed();
    expectProblem(await response, 400, 'invalid_state');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '2' });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'connect_failed']);
    expect([harness.simulator.grantFor('1')?.revoked, harness.simulator.grantFor('2')?.revoked]).toEqual([true, false]);
  });

  it.each(['connected another company', 'disconnected'])(
    'does not undo what its user did while its process was paused, before it had the response to the code: %s',
    async (did) => {
      await harness.connect('acme', '3');
      const { response, proceed } = await connectUntil('exchangeCode', '1');
      harness.clock.advance(13 * SECONDS);
      const other = await harness.replica();
      if (did === 'disconnected') await other.oauthService.disconnect(harness.key('acme'), 'billing');
      else await connectThrough(other, '2');
      proceed();
      expectProblem(await response, 400, 'invalid_state');
      const expected = did === 'disconnected' ? { connected: false } : { connected: true, realm_id: '2' };
      expect(await status(harness.service, 'acme')).toMatchObject(expected);
      await harness.runWorker(5 * MINUTES, 1 * MINUTES);
      expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
      expect([await harness.knex('pending_grants'), await harness.pendingRevocations()]).toEqual([[], []]);
    },
  );

  it('is connected if its process was paused, and its user did nothing meanwhile', async () => {
    await harness.connect('acme', '2');
    const { response, proceed } = await connectUntil('exchangeCode', '1');
    harness.clock.advance(13 * SECONDS);
    proceed();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '1' });
  });

  it('replaces a connection that was disconnected just before, by a process whose clock is ahead', async () => {
    await harness.connect('acme', '1');
    await harness.disconnect('acme');
    const deactivatedAt = new Date(harness.clock.now().getTime() + 30 * SECONDS);
    await harness.knex('oauth_tokens').update({ deactivated_at: deactivatedAt });
    const { response, proceed } = await connectUntil('readCompany', '1');
    proceed();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await harness.use('acme')).toBe(200);
  });

  it('is stored again if a failover of the database has lost it', async () => {
    await harness.connect('acme', '1');
    const loseCommits = await stopReplication(harness.knex);
    const { response, proceed } = await connectUntil('readCompany', '1');
    await loseCommits();
    proceed();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'reconnected']);
    expect([await harness.knex('pending_grants'), harness.revocations()]).toEqual([[], 0]);
    expect(await harness.use('acme')).toBe(200);
  });

  it.each(['none', 'an older one'])('is ended by a disconnect (connection: %s)', async (existing) => {
    if (existing !== 'none') await harness.connect('acme', '1');
    const { response, proceed } = await connectUntil('readCompany', '1');
    expect((await disconnect(harness.service, 'acme')).status).toBe(200);
    proceed();
    expectProblem(await response, 400, 'invalid_state');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
    expect([await harness.knex('pending_grants'), await harness.pendingRevocations()]).toEqual([[], []]);
  });

  it('is connected as its company is unproven, if a user consents twice and Intuit does not respond', async () => {
    const first = await connectUntil('readCompany', '1');
    harness.simulator.fail({ on: 'companyinfo', kind: 'hang' });
    const flow = await consent(harness.service, harness.simulator, 'acme', { realmId: '2' });
    harness.simulator.resetCalls();
    const second = callback(harness.service, flow).then((value) => value);
    await until(() => harness.simulator.callsTo('api').length === 1);
    harness.clock.advance(1 * SECONDS);
    first.proceed();
    await first.response;
    harness.clock.advance(9 * SECONDS);
    expect((await second).headers['location']).toContain('connected=true');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '2' });
  });

  itKeptSecrets(harness);

  /** Connects until the provider has responded to a call. Returns how to let its process go on. */
  async function connectUntil(call: 'exchangeCode' | 'readCompany', realmId: string) {
    const strategy = harness.home.strategies.get('quickbooks');
    const respond = strategy[call].bind(strategy) as (...parameters: unknown[]) => Promise<never>;
    let proceed = () => undefined as unknown;
    const proceeding = new Promise((resolve) => {
      proceed = () => resolve(undefined);
    });
    let hasResponse = false;
    jest.spyOn(strategy, call).mockImplementationOnce(async (...parameters: unknown[]) => {
      const response = await respond(...parameters);
      hasResponse = true;
      await proceeding;
      return response;
    });
    const flow = await consent(harness.service, harness.simulator, 'acme', { realmId });
    const response = callback(harness.service, flow).then((value) => value);
    await until(() => hasResponse);
    return { response, proceed };
  }

  async function connectThrough({ oauthService }: Context, realmId: string): Promise<void> {
    const { authorizationUrl, browserSecret } = oauthService.connect(harness.key('acme'), 'billing');
    const { searchParams } = new URL(await harness.simulator.authorize(authorizationUrl, { realmId }));
    const parameters = await oauthService.parseCallback('quickbooks', Object.fromEntries(searchParams));
    await oauthService.callback('quickbooks', parameters, browserSecret);
  }
});
