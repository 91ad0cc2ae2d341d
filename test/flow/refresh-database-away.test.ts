import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOnServer } from '../support/databases.ts';
import { call, expectOwnError, expire, refreshes, until } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, startService, status, type TestService } from '../support/service.ts';
import { useStage } from '../support/stage.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

describeOnServer('a database that goes away between Intuit’s answer and the save', (createDatabase) => {
  const env = { PROVIDER_TIMEOUT_MS: '2000' };
  const stage = useStage(createDatabase, env);
  let proxy: TcpProxy;
  let service: TestService;

  beforeAll(async () => {
    proxy = await startTcpProxy(stage.database.url);
    service = await startService({ databaseUrl: proxy.url, simulator: stage.simulator, env });
  });
  afterAll(async () => {
    await service.close();
    await proxy.close();
  });

  it('loses nothing: the answer is saved when it is back', async () => {
    const answer = await refreshWithout('hang', 'hang', '1');
    await expectOwnError(answer, 503, 'provider_unavailable');
    proxy.resume();
    await until(async () => (await stage.activeRows('hang'))[0]?.generation === 1);
    expect((await call(service, 'hang')).status).toBe(200);
    expect(refreshes(stage)).toBe(1);
    expect(await status(service, 'hang')).toMatchObject({ connected: true, is_expired: false });
  });

  it('is waited for by a shutdown', async () => {
    const leaving = await startService({ databaseUrl: proxy.url, simulator: stage.simulator, env });
    await refreshWithout('shutdown', 'stop', '2', leaving);
    let isClosed = false;
    const closed = leaving.close().then(() => {
      isClosed = true;
    });
    await expect(fetch(leaving.origin)).rejects.toThrow();
    expect(isClosed).toBe(false);
    proxy.resume();
    await closed;
    expect((await stage.activeRows('shutdown'))[0]).toMatchObject({ generation: 1, refresh_lease_owner: null });
  });

  it('is revived where another process took the connection for lost meanwhile', async () => {
    await refreshWithout('revived', 'stop', '3');
    await stage
      .knex('oauth_tokens')
      .where({ organization_id: 'revived' })
      .update({
        ...{ refresh_lease_owner: null, refresh_lease_expires_at: null },
      });
    const other = stage.service;
    await expectOwnError(await call(other, 'revived'), 409, 'reauthorization_required');
    expect(await status(other, 'revived')).toMatchObject({ reason: 'rotation_lost' });
    proxy.resume();
    await until(async () => (await stage.activeRows('revived')).length === 1);
    expect((await call(other, 'revived')).status).toBe(200);
  });

  itKeptSecrets(stage);

  /** The answer to a caller of an expired connection whose database left while Intuit was at work. */
  async function refreshWithout(organization: string, how: 'stop' | 'hang', realmId: string, by = service) {
    await connect(by, stage.simulator, organization, { realmId });
    await expire(stage, organization);
    stage.simulator.resetCalls();
    stage.simulator.settings.reuseRevokesFamily = false;
    const release = stage.simulator.hold({ on: 'token', kind: 'slow_after' });
    const caller = call(by, organization);
    await until(() => refreshes(stage) === 1);
    proxy[how]();
    release();
    return caller;
  }
});
