import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { describeOnServer } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { disconnect, startService, status, type TestService } from '../support/service.ts';
import { startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

describeOnServer('a database that becomes unavailable between Intuit’s response and the save', (createDatabase) => {
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

  it('costs no connection: the response is saved when the database is back', async () => {
    await refreshWithoutDatabase('kept', service);
    await relay.pass();
    await until(async () => (await harness.row('kept')).generation === 1);
    expect((await call(service, 'kept')).status).toBe(200);
    expect(harness.refreshes()).toBe(1);
    expect(await status(service, 'kept')).toMatchObject({ connected: true, is_expired: false });
  });

  it('delays a shutdown, which waits until the response is saved', async () => {
    const stopping = await startThroughRelay();
    await refreshWithoutDatabase('shutdown', stopping);
    let isClosed = false;
    const closed = stopping.close().then(() => {
      isClosed = true;
    });
    await expect(fetch(stopping.origin)).rejects.toThrow();
    expect(isClosed).toBe(false);
    await relay.pass();
    await closed;
    expect(await harness.row('shutdown')).toMatchObject({ generation: 1, refresh_lease_owner: null });
  });

  it('costs no connection even if another process meanwhile considers it lost', async () => {
    await refreshWithoutDatabase('revived', service);
    await harness.set('revived', { refresh_lease_owner: null, refresh_takeover_owner: null });
    const other = harness.service;
    await expectOwnError(await call(other, 'revived'), 409, 'reauthorization_required');
    expect(await status(other, 'revived')).toMatchObject({ reason: 'rotation_lost' });
    await relay.pass();
    await until(async () => (await harness.activeRows('revived')).length === 1);
    expect((await call(other, 'revived')).status).toBe(200);
  });

  it.each(['refuse', 'hang'] as const)(
    'does not fail a disconnect (%s), and the worker revokes the grant later',
    async (interrupt) => {
      const { simulator, clock } = harness;
      const before = service.logs.length;
      await harness.connect(interrupt);
      const release = simulator.hold({ on: 'revoke', kind: 'slow' });
      const response = disconnect(service, interrupt);
      await until(() => harness.revocations() === 1);
      relay[interrupt]();
      const isQueried = once(service.context.session.knex, 'query');
      release();
      if (interrupt === 'hang') {
        await isQueried;
        clock.advance(10 * SECONDS);
      }
      expect((await response).status).toBe(200);
      await relay.pass();
      await service.context.backgroundTasks.drain();
      expect(service.logs.slice(before).join()).toContain('grant.revocation.failed');
      expect(await status(service, interrupt)).toMatchObject({ connected: false, needs_reauthorization: false });

      clock.advance(2 * MINUTES);
      await service.context.worker.tick();
      expect(harness.revocations()).toBe(2); // the second one returns 400: the grant is already revoked
      clock.advance(2 * MINUTES);
      await service.context.worker.tick();
      expect(harness.revocations()).toBe(2);
    },
  );

  itKeptSecrets(harness);

  async function startThroughRelay(): Promise<TestService> {
    const { simulator, clock } = harness;
    return startService({ databaseUrl: relay.url, simulator, clock });
  }

  /** Refreshes an expired connection, whose response cannot be saved. The caller waits in vain. */
  async function refreshWithoutDatabase(organization: string, by: TestService): Promise<void> {
    const { simulator, clock } = harness;
    await harness.connect(organization);
    await harness.expire(organization);
    simulator.settings.reuseRevokesFamily = false;
    const release = simulator.hold({ on: 'token', kind: 'slow_after' });
    const response = call(by, organization);
    await until(() => harness.refreshes() === 1);
    relay.hang();
    const isQueried = once(by.context.session.knex, 'query');
    release();
    await isQueried;
    clock.advance(20 * SECONDS);
    await expectOwnError(await response, 503, 'provider_unavailable');
  }
});
