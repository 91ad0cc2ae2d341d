import { expect, it, jest } from '@jest/globals';
import type { RealmId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, MINUTES, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const UNAVAILABLE = { on: 'companyinfo', kind: 'status', status: 503 } as const;

describeEachDatabase('the end of a connection whose company was never proven', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });

  it('revokes its grant once the worker has proven its company', async () => {
    await connectUnproven('acme', '1');
    await harness.disconnect('acme');
    expect([harness.revocations(), await harness.pendingRevocations(), await phases()]).toEqual([0, [], ['unwanted']]);
    await harness.home.worker.tick();
    expect([harness.revocations(), await phases()]).toEqual([1, []]);
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'disconnected']);
  });

  it('revokes nothing if its grant is for a company that another organization uses', async () => {
    await harness.connect('victim', '2');
    await connectUnproven('acme', '1', { grantFor: '2' });
    await harness.disconnect('acme');
    await harness.runWorker(10 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations(), await phases()]).toEqual([0, [], []]);
    expect(await harness.use('victim')).toBe(200);
  });

  it('revokes nothing if it is replaced, until its company is proven', async () => {
    await harness.connect('victim', '2');
    await connectUnproven('acme', '1', { grantFor: '2' });
    await connectUnproven('globex', '3');
    for (const organization of ['acme', 'globex']) await harness.connect(organization, '9');
    expect([harness.revocations(), await phases()]).toEqual([0, ['unwanted', 'unwanted']]);
    await harness.runWorker(10 * MINUTES, 1 * MINUTES);
    expect(harness.simulator.callsTo('revoke')).toHaveLength(1);
    expect([harness.simulator.grantFor('3')?.revoked, await phases()]).toEqual([true, []]);
    expect(await harness.use('victim')).toBe(200);
  });

  it('revokes the grant’s newest token if it is disconnected while it is refreshed', async () => {
    await connectUnproven('acme', '1');
    const { access_token } = await harness.row('acme');
    harness.clock.advance(2 * HOURS);
    harness.simulator.fail({ ...UNAVAILABLE, times: 100 });
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const use = harness.use('acme').catch(() => undefined);
    await until(() => harness.refreshes() === 1);
    await harness.disconnect('acme');
    release();
    await use;
    await until(async () => (await grants())[0]?.access_token !== access_token);
    expect([harness.revocations(), await phases()]).toEqual([0, ['unwanted']]);
    harness.simulator.clearFaults();
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await phases()]).toEqual([1, []]);
    expect(harness.simulator.grantFor('1')?.revoked).toBe(true);
  });

  it('deletes a grant that can no longer be proven', async () => {
    await connectUnproven('acme', '1');
    harness.clock.advance(2 * HOURS);
    await harness.disconnect('acme');
    await harness.home.worker.tick();
    expect([harness.revocations(), await phases()]).toEqual([0, []]);
  });

  async function grants() {
    return harness.knex('pending_grants').orderBy('created_at');
  }

  async function phases(): Promise<string[]> {
    return (await grants()).map(({ phase }) => phase);
  }

  /** @param grantFor the company that the user really chose; by default, the claimed one */
  async function connectUnproven(organization: string, realmId: string, { grantFor = realmId } = {}): Promise<void> {
    harness.simulator.fail(UNAVAILABLE);
    await harness.connect(organization, realmId, { grantFor });
    expect(await harness.row(organization)).toMatchObject({ realm_id: realmId, last_verified_at: null });
  }
});

describeEachDatabase('an organization’s own old grant', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });

  it('is not revoked while the organization’s new connection to the company is unproven, nor afterwards', async () => {
    await disconnectUnrevoked('acme', '1');
    harness.simulator.fail({ ...UNAVAILABLE, times: 100 });
    await harness.connect('acme', '1');
    await harness.runWorker(60 * MINUTES, 5 * MINUTES);
    expect([harness.revocations(), await attempts()]).toEqual([0, [1]]);
    harness.simulator.clearFaults();
    await harness.runWorker(20 * MINUTES, 5 * MINUTES);
    expect([harness.revocations(), await attempts()]).toEqual([0, []]);
    expect(await harness.use('acme')).toBe(200);
  });

  it('is not revoked if the new connection is proven while the revocation is decided', async () => {
    await disconnectUnrevoked('acme', '1');
    harness.simulator.fail({ ...UNAVAILABLE, times: 100 });
    await harness.connect('acme', '1');
    const { grants } = harness.home;
    const isBeingConnected = grants.isBeingConnected.bind(grants);
    const between = jest.spyOn(grants, 'isBeingConnected').mockImplementation(async (...parameters) => {
      const isReceived = await isBeingConnected(...parameters);
      await harness.set('acme', { last_verified_at: harness.clock.now() });
      return isReceived;
    });
    await harness.knex('pending_revocations').update({ next_attempt_at: harness.clock.now() });
    await harness.home.worker.tick();
    expect(between).toHaveBeenCalled();
    between.mockRestore();
    expect([harness.revocations(), await attempts()]).toEqual([0, []]);
    harness.simulator.clearFaults();
    expect(await harness.use('acme')).toBe(200);
  });

  it('is revoked after all once the new connection is lost, and can no longer be recovered', async () => {
    await disconnectUnrevoked('acme', '1');
    harness.simulator.fail({ ...UNAVAILABLE, times: null });
    await harness.connect('acme', '1');
    await harness.deactivate('acme');
    await harness.set('acme', { next_maintenance_at: null });
    await harness.runWorker(10 * MINUTES, 5 * MINUTES);
    expect([harness.revocations(), await attempts()]).toEqual([0, [1]]);
    await harness.set('acme', { recovery_attempts: 4 });
    await harness.runWorker(10 * MINUTES, 5 * MINUTES);
    expect([harness.revocations(), await attempts()]).toEqual([1, []]);
  });

  it('is revoked after all if the new connection ends', async () => {
    await disconnectUnrevoked('acme', '1');
    harness.simulator.fail({ ...UNAVAILABLE, times: 100 });
    await harness.connect('acme', '1');
    await harness.runWorker(10 * MINUTES, 5 * MINUTES);
    await harness.disconnect('acme');
    expect([harness.revocations(), await attempts()]).toEqual([0, [1]]);
    harness.simulator.clearFaults();
    await harness.runWorker(20 * MINUTES, 5 * MINUTES);
    expect(await attempts()).toEqual([]);
    expect(harness.revocations()).toBeGreaterThan(0);
  });

  it('is not revoked while a grant of the organization waits for its completion', async () => {
    await disconnectUnrevoked('acme', '1');
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const connecting = harness.connect('acme', '1');
    await until(async () => (await harness.knex('pending_grants')).length === 1);
    await harness.knex('pending_revocations').update({ next_attempt_at: harness.clock.now() });
    await harness.home.worker.tick();
    expect([harness.revocations(), await attempts()]).toEqual([0, [1]]);
    release();
    await connecting;
    expect(await harness.use('acme')).toBe(200);
  });

  it('is revoked although another organization’s unproven connection claims the company', async () => {
    await disconnectUnrevoked('acme', '1');
    harness.simulator.fail({ ...UNAVAILABLE, times: 100 });
    await harness.connect('claims', '1');
    await harness.runWorker(10 * MINUTES, 5 * MINUTES);
    expect([harness.revocations(), await attempts()]).toEqual([1, []]);
  });

  async function attempts(): Promise<number[]> {
    return (await harness.pendingRevocations()).map((revocation) => revocation.attempts);
  }

  /** Intuit is unavailable when the connection is disconnected. */
  async function disconnectUnrevoked(organization: string, realmId: string): Promise<void> {
    await harness.connect(organization, realmId as RealmId);
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503 });
    await harness.disconnect(organization);
    harness.simulator.clearFaults();
    harness.simulator.resetCalls();
  }
});
