import { afterEach, expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { stopReplication } from '../support/lost-commits.ts';
import { callback, expectProblem } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, disconnect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('a grant whose company is being verified', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('does not replace the connection that was made while its process was paused', async () => {
    const { response, proceed } = await connectUntilVerified('1');
    harness.clock.advance(13 * SECONDS);
    const other = await harness.replica();
    await connectThrough(other, '2');
    proceed();
    expectProblem(await response, 400, 'invalid_state');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, realm_id: '2' });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'connect_failed']);
    expect([harness.simulator.grantFor('1')?.revoked, harness.simulator.grantFor('2')?.revoked]).toEqual([true, false]);
  });

  it('replaces a connection that was disconnected just before, by a process whose clock is ahead', async () => {
    await harness.connect('acme', '1');
    await harness.disconnect('acme');
    const deactivatedAt = new Date(harness.clock.now().getTime() + 30 * SECONDS);
    await harness.knex('oauth_tokens').update({ deactivated_at: deactivatedAt });
    const { response, proceed } = await connectUntilVerified('1');
    proceed();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await harness.use('acme')).toBe(200);
  });

  it('is stored again if a failover of the database has lost it', async () => {
    await harness.connect('acme', '1');
    const loseCommits = await stopReplication(harness.knex);
    const { response, proceed } = await connectUntilVerified('1');
    await loseCommits();
    proceed();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'reconnected']);
    expect([await harness.knex('pending_grants'), harness.revocations()]).toEqual([[], 0]);
    expect(await harness.use('acme')).toBe(200);
  });

  it.each(['none', 'an older one'])('is ended by a disconnect (connection: %s)', async (existing) => {
    if (existing !== 'none') await harness.connect('acme', '1');
    const { response, proceed } = await connectUntilVerified('1');
    expect((await disconnect(harness.service, 'acme')).status).toBe(200);
    proceed();
    expectProblem(await response, 400, 'invalid_state');
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
    expect([await harness.knex('pending_grants'), await harness.pendingRevocations()]).toEqual([[], []]);
  });

  it('is connected as its company is unproven, if a user consents twice and Intuit does not respond', async () => {
    const first = await connectUntilVerified('1');
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

  /** Connects until the provider has confirmed the company. Returns how to let its process go on. */
  async function connectUntilVerified(realmId: string) {
    const strategy = harness.home.strategies.get('quickbooks');
    const readCompany = strategy.readCompany.bind(strategy);
    let proceed = () => undefined as unknown;
    const proceeding = new Promise((resolve) => {
      proceed = () => resolve(undefined);
    });
    let isVerified = false;
    jest.spyOn(strategy, 'readCompany').mockImplementationOnce(async (...parameters) => {
      const company = await readCompany(...parameters);
      isVerified = true;
      await proceeding;
      return company;
    });
    const flow = await consent(harness.service, harness.simulator, 'acme', { realmId });
    const response = callback(harness.service, flow).then((value) => value);
    await until(() => isVerified);
    return { response, proceed };
  }

  async function connectThrough({ oauthService }: Context, realmId: string): Promise<void> {
    const { authorizationUrl, browserSecret } = oauthService.connect(harness.key('acme'), 'billing');
    const { searchParams } = new URL(await harness.simulator.authorize(authorizationUrl, { realmId }));
    const parameters = await oauthService.parseCallback('quickbooks', Object.fromEntries(searchParams));
    await oauthService.callback('quickbooks', parameters, browserSecret);
  }
});
