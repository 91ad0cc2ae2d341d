import { expect, it, jest } from '@jest/globals';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import { AppError } from '../../src/errors.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { call, expectOwnError } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, disconnect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('during a refresh', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('a disconnect takes precedence: the connection stays ended, and the returned refresh token is revoked', async () => {
    const finish = await startRefresh('left', '1');
    expect((await disconnect(harness.service, 'left')).status).toBe(200);
    await expectOwnError(await finish(), 404, 'connection_not_found');
    const { simulator } = harness;
    await until(() => simulator.grantFor('1')?.revoked);
    expect(simulator.callsTo('revoke').at(-1)?.token).toBe(simulator.grantFor('1')?.refreshToken);
    expect(await status(harness.service, 'left')).toMatchObject({
      connected: false,
      needs_reauthorization: false,
      realm_id: null,
    });
    expect(await harness.rows('left')).toMatchObject([
      { is_active: 0, deactivation_reason: 'disconnected', access_token: '', refresh_token: '' },
    ]);
    expect(simulator.callsTo('api')).toEqual([]);
  });

  it('a disconnect revokes nothing if another organization uses the company', async () => {
    await harness.connect('stays', '2');
    const finish = await startRefresh('leaves', '2');
    await disconnect(harness.service, 'leaves');
    await expectOwnError(await finish(), 404, 'connection_not_found');
    expect(harness.revocations()).toBe(0);
    expect((await call(harness.service, 'stays')).status).toBe(200);
  });

  it('a disconnect revokes nothing before the revocation is recorded, since another organization may use the company', async () => {
    await harness.connect('remains', '12');
    const finish = await startRefresh('quits', '12');
    await disconnect(harness.service, 'quits');
    const record = jest.spyOn(PendingRevocationDatastore.prototype, 'record');
    record.mockRejectedValueOnce(new AppError('service_unavailable'));
    await expectOwnError(await finish(), 404, 'connection_not_found');
    await harness.home.backgroundTasks.drain();
    expect(record).toHaveBeenCalledTimes(2);
    record.mockRestore();
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect((await call(harness.service, 'remains')).status).toBe(200);
  });

  it('a reconnect to the same company takes precedence: its token serves the waiting caller, and nothing is revoked', async () => {
    const { service, simulator } = harness;
    const finish = await startRefresh('again', '3');
    await connect(service, simulator, 'again', { realmId: '3' });
    simulator.resetCalls();
    expect((await finish()).status).toBe(200);
    const grant = simulator.grantFor('3');
    expect(simulator.callsTo('api')).toMatchObject([{ token: grant?.accessTokens[0] }]);
    expect([grant?.revoked, harness.revocations()]).toEqual([false, 0]);
    expect(await harness.row('again')).toMatchObject({ is_active: 1, generation: 0 });
  });

  it('a reconnect to another company takes precedence: the returned refresh token is revoked', async () => {
    const { service, simulator } = harness;
    const finish = await startRefresh('moved', '4');
    await connect(service, simulator, 'moved', { realmId: '5' });
    expect((await finish()).status).toBe(200);
    expect(simulator.callsTo('api').at(-1)?.path).toMatch(/^\/v3\/company\/5\//);
    await until(() => simulator.grantFor('4')?.revoked);
    expect(simulator.grantFor('5')?.revoked).toBe(false);
    expect(await status(service, 'moved')).toMatchObject({ connected: true, realm_id: '5' });
    expect(await harness.row('moved')).toMatchObject({ is_active: 1, generation: 0 });
  });

  it('a disconnect takes precedence even if Intuit rejects the refresh', async () => {
    const finish = await startRefresh('left-rejected', '6', () => harness.simulator.revokeGrant('6'));
    await disconnect(harness.service, 'left-rejected');
    await expectOwnError(await finish(), 404, 'connection_not_found');
    expect(await harness.rows('left-rejected')).toMatchObject([{ deactivation_reason: 'disconnected' }]);
  });

  it('a reconnect takes precedence even if Intuit rejects the refresh', async () => {
    const { service, simulator } = harness;
    const finish = await startRefresh('again-rejected', '7', () => simulator.revokeGrant('7'));
    await connect(service, simulator, 'again-rejected', { realmId: '7' });
    expect((await finish()).status).toBe(200);
    expect(await status(service, 'again-rejected')).toMatchObject({ connected: true, reason: null });
  });

  it('the row holds a lease, and no transaction keeps others from writing to it', async () => {
    const finish = await startRefresh('leased', '8');
    expect(await harness.row('leased')).toMatchObject({
      refresh_lease_owner: expect.any(String),
      refresh_started_at: expect.anything(),
    });
    await harness.set('leased', { company_name: 'Written meanwhile' });
    expect((await finish()).status).toBe(200);
    expect(await status(harness.service, 'leased')).toMatchObject({ company_name: 'Written meanwhile' });
  });

  itKeptSecrets(harness);

  /** Starts a refresh whose response is delayed. Returns how to finish it, with the caller's response. */
  async function startRefresh(organization: string, realmId: string, before = (): unknown => undefined) {
    await harness.connect(organization, realmId);
    await harness.expire(organization);
    before();
    const release = harness.simulator.hold({ on: 'token', grantType: 'refresh_token', kind: 'slow_after' });
    const pending = call(harness.service, organization);
    await until(() => harness.refreshes() === 1);
    return async () => {
      release();
      return pending;
    };
  }
});
