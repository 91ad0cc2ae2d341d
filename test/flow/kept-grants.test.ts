import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { ActiveConnection } from '../../src/models/connection.ts';
import { describeOnServer } from '../support/databases.ts';
import { environment } from '../support/environment.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { printed, runServer } from '../support/processes.ts';
import { callback, expectProblem, expectRetryAfter } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { consent, startService, status, type TestService } from '../support/service.ts';
import { startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

describeOnServer('a database that becomes unavailable after the exchange of a code', (createDatabase) => {
  let relay: TcpRelay;
  let service: TestService;
  afterEach(() => relay.pass());
  const harness = useHarness(createDatabase);
  beforeAll(async () => {
    relay = await startTcpRelay(harness.database.url);
    service = await startThroughRelay();
  });
  afterAll(async () => {
    await service.close();
    relay.close();
  });

  it('delays the connection: it is completed once the database is available, and the user is informed', async () => {
    const { flow, response } = await connectWithoutDatabase('kept', '1', service);
    harness.clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'service_unavailable', /will be completed shortly/);
    expectRetryAfter(await response);
    expect(await status(harness.service, 'kept')).toMatchObject({ connected: false });
    await relay.pass();
    await until(async () => (await status(harness.service, 'kept'))['connected']);
    expect((await callback(service, flow)).headers['location']).toContain('connected=true');
    expect([harness.simulator.callsTo('token').length, harness.revocations()]).toEqual([1, 0]);
    expect(await harness.eventTypes('kept')).toEqual(['connected']);
  });

  it('is not noticed by the user if it is available again in time', async () => {
    const { response } = await connectWithoutDatabase('short', '2', service);
    await relay.pass();
    expect((await response).headers['location']).toContain('connected=true');
    expect(await harness.eventTypes('short')).toEqual(['connected']);
  });

  it('ends with a revocation if the process ends first, and the user is informed', async () => {
    const stopping = await startThroughRelay();
    const { response } = await connectWithoutDatabase('revoked', '3', stopping);
    stopping.context.stop();
    expectProblem(await response, 503, 'service_unavailable', /was revoked/);
    await stopping.close();
    expect([harness.revocations(), harness.simulator.grantFor('3')?.revoked]).toEqual([1, true]);
    expect(await status(harness.service, 'revoked')).toMatchObject({ connected: false });
  });

  it('makes the process exit with 1 if it can be neither stored nor revoked, and claims no revocation', async () => {
    const { simulator } = harness;
    const server = await runServer(environment(relay.url, simulator));
    const flow = await consent(server, simulator, 'lost', { realmId: '7' });
    simulator.resetCalls();
    simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
    const release = simulator.hold({ on: 'token', kind: 'slow_after' });
    const response = callback(server, flow).then((value) => value);
    await until(() => simulator.callsTo('token').length === 1);
    relay.refuse();
    const ended = server.kill('SIGTERM');
    await printed(server, /"msg":"stopping"/);
    release();
    expectProblem(await response, 503, 'service_unavailable', /^The connection could not be stored\. Please/);
    expect(await ended).toBe(1);
    expect(server.stdout()).toMatch(/"event":"grant\.revocation\.not_recorded"/);
    expect(server.stdout()).toMatch(/stopped with work unfinished: a new grant could be neither stored nor revoked/);
    expect(simulator.grantFor('7')).toMatchObject({ revoked: false });
  });

  it('does not replace the connection that the user made meanwhile', async () => {
    const { response } = await connectWithoutDatabase('newer', '4', service);
    harness.clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'service_unavailable');
    await harness.connect('newer', '5');
    await relay.pass();
    await service.context.backgroundTasks.drain();
    expect(await status(harness.service, 'newer')).toMatchObject({ connected: true, realm_id: '5' });
    expect(await harness.eventTypes('newer')).toEqual(['connected', 'connect_failed']);
    expect(harness.simulator.grantFor('4')?.revoked).toBe(true);
  });

  it('delays a reconnection: the new grant replaces the old one, although that was found to have ended meanwhile', async () => {
    await harness.connect('reconnected', '8');
    const { response } = await connectWithoutDatabase('reconnected', '8', service);
    harness.clock.advance(10 * SECONDS);
    expectProblem(await response, 503, 'service_unavailable', /will be completed shortly/);
    const current = (await harness.home.tokens.findCurrent(harness.key('reconnected'))) as ActiveConnection;
    const loss = {
      reason: 'authorization_revoked',
      intuitTid: undefined,
      nextMaintenanceAt: harness.clock.now(),
    } as const;
    expect(await harness.home.tokens.markLost(current, loss)).toMatchObject({ type: 'lost' });
    await relay.pass();
    await until(async () => (await status(harness.service, 'reconnected'))['connected']);
    expect(await harness.eventTypes('reconnected')).toEqual(['connected', 'lost', 'reconnected']);
    expect(await harness.use('reconnected')).toBe(200);
    expect(harness.simulator.grantFor('8')?.revoked).toBe(false);
  });

  it('leaves a stored grant to the worker if the process ends before its company was verified', async () => {
    const stopping = await startThroughRelay();
    const flow = await consent(stopping, harness.simulator, 'left', { realmId: '6' });
    harness.simulator.resetCalls();
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow_after' });
    const response = callback(stopping, flow).then((value) => value);
    await until(() => harness.simulator.callsTo('api').length === 1);
    relay.refuse();
    release();
    stopping.context.stop();
    expectProblem(await response, 503, 'service_unavailable', /will be completed shortly/);
    await stopping.close();
    expect(await harness.knex('pending_grants')).toMatchObject([{ organization_id: 'left', phase: 'received' }]);
    harness.clock.advance(2 * MINUTES);
    await harness.home.worker.tick();
    expect(await status(harness.service, 'left')).toMatchObject({ connected: true, realm_id: '6' });
    expect([await harness.knex('pending_grants'), harness.revocations()]).toEqual([[], 0]);
    await relay.pass();
    expect((await callback(harness.service, flow)).headers['location']).toContain('connected=true');
  });

  itKeptSecrets(harness);

  /** A callback whose database becomes unavailable while Intuit exchanges the code. */
  async function connectWithoutDatabase(organization: string, realmId: string, by: TestService) {
    const flow = await consent(by, harness.simulator, organization, { realmId });
    harness.simulator.resetCalls();
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const response = callback(by, flow).then((value) => value);
    await until(() => harness.simulator.callsTo('token').length === 1);
    relay.refuse();
    release();
    await until(() => by.context.session.pool().waiting > 0); // the process attempts to store the grant
    return { flow, response };
  }

  async function startThroughRelay(): Promise<TestService> {
    const { simulator, clock, logs } = harness;
    return startService({ databaseUrl: relay.url, simulator, clock, logs });
  }
});
