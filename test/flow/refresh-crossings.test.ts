import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { call, expectOwnError, expire, refreshes, until } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, disconnect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describeEachDatabase('in the middle of a refresh', (createDatabase) => {
  const stage = useStage(createDatabase);

  it('a disconnect wins: nothing is resurrected, and the refresh token that came back is revoked', async () => {
    const finish = await beginRefresh('left', '1');
    expect((await disconnect(stage.service, 'left')).status).toBe(200);
    await expectOwnError(await finish(), 404, 'connection_not_found');
    await until(() => stage.simulator.grantFor('1')?.revoked);
    expect(stage.simulator.callsTo('revoke').at(-1)?.token).toBe(stage.simulator.grantFor('1')?.refreshToken);
    expect(await status(stage.service, 'left')).toMatchObject({
      connected: false,
      needs_reauthorization: false,
      realm_id: null,
    });
    expect(await stage.rows('left')).toMatchObject([
      { is_active: 0, deactivation_reason: 'disconnected', access_token: '', refresh_token: '' },
    ]);
    expect(stage.simulator.callsTo('api')).toEqual([]);
  });

  it('a disconnect of one of two that share the company revokes nothing', async () => {
    await connect(stage.service, stage.simulator, 'stays', { realmId: '2' });
    const finish = await beginRefresh('leaves', '2');
    await disconnect(stage.service, 'leaves');
    await expectOwnError(await finish(), 404, 'connection_not_found');
    expect(stage.simulator.callsTo('revoke')).toEqual([]);
    expect((await call(stage.service, 'stays')).status).toBe(200);
  });

  it('a reconnect to the same company wins: it serves the waiting caller, and nothing is revoked', async () => {
    const finish = await beginRefresh('again', '3');
    await connect(stage.service, stage.simulator, 'again', { realmId: '3' });
    stage.simulator.resetCalls();
    expect((await finish()).status).toBe(200);
    const grant = stage.simulator.grantFor('3');
    expect(stage.simulator.callsTo('api')).toMatchObject([{ token: grant?.accessTokens[0] }]);
    expect([grant?.revoked, stage.simulator.callsTo('revoke')]).toEqual([false, []]);
    expect(await activeGenerations('again')).toEqual([0]);
  });

  it('a reconnect to another company wins: the refresh token that came back is revoked', async () => {
    const finish = await beginRefresh('moved', '4');
    await connect(stage.service, stage.simulator, 'moved', { realmId: '5' });
    expect((await finish()).status).toBe(200);
    expect(stage.simulator.callsTo('api').at(-1)?.path).toMatch(/^\/v3\/company\/5\//);
    await until(() => stage.simulator.grantFor('4')?.revoked);
    expect(stage.simulator.grantFor('5')?.revoked).toBe(false);
    expect(await status(stage.service, 'moved')).toMatchObject({ connected: true, realm_id: '5' });
    expect(await activeGenerations('moved')).toEqual([0]);
  });

  it('a disconnect wins also where Intuit refuses the refresh', async () => {
    const finish = await beginRefresh('left-refused', '6', () => stage.simulator.revokeGrant('6'));
    await disconnect(stage.service, 'left-refused');
    await expectOwnError(await finish(), 404, 'connection_not_found');
    expect(await stage.rows('left-refused')).toMatchObject([{ deactivation_reason: 'disconnected' }]);
  });

  it('a reconnect wins also where Intuit refuses the refresh', async () => {
    const finish = await beginRefresh('again-refused', '7', () => stage.simulator.revokeGrant('7'));
    await connect(stage.service, stage.simulator, 'again-refused', { realmId: '7' });
    expect((await finish()).status).toBe(200);
    expect(await status(stage.service, 'again-refused')).toMatchObject({ connected: true, reason: null });
  });

  it('the database is written to twice, before and after, and no transaction waits for Intuit', async () => {
    const finish = await beginRefresh('idle', '8');
    const [row] = await stage.activeRows('idle');
    expect(row).toMatchObject({ refresh_lease_owner: expect.any(String), refresh_started_at: expect.anything() });
    await stage.knex('oauth_tokens').where({ organization_id: 'idle' }).update({ company_name: 'Written meanwhile' });
    expect((await finish()).status).toBe(200);
    expect(await status(stage.service, 'idle')).toMatchObject({ company_name: 'Written meanwhile' });
  });

  itKeptSecrets(stage);

  /** Starts a refresh that Intuit has processed and not answered. Returns how to finish it, with the caller's response. */
  async function beginRefresh(organization: string, realmId: string, before = (): unknown => undefined) {
    await connect(stage.service, stage.simulator, organization, { realmId });
    await expire(stage, organization);
    before();
    stage.simulator.resetCalls();
    const release = stage.simulator.hold({ on: 'token', grantType: 'refresh_token', kind: 'slow_after' });
    const caller = call(stage.service, organization);
    await until(() => refreshes(stage) === 1);
    return async () => {
      release();
      return caller;
    };
  }

  async function activeGenerations(organization: string): Promise<number[]> {
    return (await stage.activeRows(organization)).map(({ generation }) => generation);
  }
});
