import { afterEach, expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import type { ActiveConnection } from '../../src/models/connection.ts';
import { FailoverRestorer } from '../../src/services/failover-restorer.ts';
import type { NewConnectionRestorer } from '../../src/services/new-connection-restorer.ts';
import { MAX_RESTORE_MS, RESTORE_MS } from '../../src/services/refresh-policy.ts';
import type { RefreshResult } from '../../src/services/refresh-result.ts';
import type { RefreshSaver } from '../../src/services/refresh-saver.ts';
import { BackgroundTasks } from '../../src/utils/background-tasks.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useHarness } from '../support/harness.ts';
import { written } from '../support/rows.ts';
import { until } from '../support/until.ts';

describeEachDatabase('after a failover of the database that lost the last commits, a process', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('writes its responses back before any other refreshes', async () => {
    const realmId = await harness.connect('restored');
    const other = await harness.replica();
    await loseRefresh('restored');
    failOver(other);
    const refreshing = refresh('restored', other);
    failOver(harness.home);
    await until(async () => (await harness.row('restored')).generation === 1);
    harness.clock.advance(RESTORE_MS);
    expect(await refreshing).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(harness.refreshes()).toBe(1); // the old token was not sent
    expect(await storedToken('restored')).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
  });

  it.each(['one after the other', 'at once'])(
    'leaves the newest response in the row if several write back %s',
    async (way) => {
      const realmId = await harness.connect(way);
      const other = await harness.replica();
      const before = await harness.row(way);
      await refresh(way);
      await refresh(way, other);
      await putBack(before);
      for (const process of [harness.home, other]) {
        failOver(process);
        if (way !== 'at once') await process.backgroundTasks.drain();
      }
      await Promise.all([harness.home, other].map(({ backgroundTasks }) => backgroundTasks.drain()));
      expect(await harness.row(way)).toMatchObject({ generation: 2 });
      expect(await storedToken(way)).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
      harness.clock.advance(RESTORE_MS);
    },
  );

  it('writes everything back, however long there was no database', async () => {
    const organizations = Array.from({ length: 20 }, (_, index) => `outage-${index}`);
    for (const organization of organizations) {
      await harness.connect(organization);
      await loseRefresh(organization);
    }
    harness.clock.advance(3_600_000);
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    for (const organization of organizations) {
      expect(await harness.row(organization)).toMatchObject({ generation: 1 });
    }
    harness.clock.advance(RESTORE_MS);
  });

  it('saves a response that arrives after the failover', async () => {
    const realmId = await harness.connect('arriving');
    const before = await harness.row('arriving');
    await refresh('arriving');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const refreshing = refresh('arriving');
    await until(() => harness.refreshes() === 2);
    await putBack(before);
    release();
    expect(await refreshing).toMatchObject({ outcome: 'current', connection: { generation: 2 } });
    expect(await storedToken('arriving')).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
  });

  it('writes a response back that had revived a lost connection', async () => {
    const realmId = await harness.connect('revived');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const refreshing = refresh('revived');
    await until(() => harness.refreshes() === 1);
    const loss = { reason: 'authorization_revoked', intuitTid: undefined } as const;
    await harness.home.tokens.markLost(await find('revived'), { ...loss, nextMaintenanceAt: harness.clock.now() });
    const before = await harness.row('revived');
    release();
    expect(await refreshing).toMatchObject({ outcome: 'current' });
    await putBack(before);
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('revived')).toMatchObject({ is_active: 1 });
    expect(await storedToken('revived')).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
    harness.clock.advance(RESTORE_MS);
  });

  it('leaves a row alone that has changed since', async () => {
    await harness.connect('changed');
    await refresh('changed');
    await refresh('changed', await harness.replica());
    const row = await harness.row('changed');
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('changed')).toEqual(row);
    harness.clock.advance(RESTORE_MS);
  });

  it('has the newest token revoked of a connection that was disconnected with an older one', async () => {
    const realmId = await harness.connect('ended');
    await loseRefresh('ended');
    const other = await harness.replica();
    failOver(other); // so that it does not revoke the older token at once
    await other.oauthService.disconnect(harness.key('ended'), 'billing');
    const newest = harness.simulator.grantFor(realmId)?.refreshToken;
    expect(await tokensToRevoke()).not.toContain(newest);
    for (let failovers = 0; failovers < 2; failovers += 1) {
      failOver(harness.home);
      await harness.home.backgroundTasks.drain();
      expect((await tokensToRevoke()).filter((token) => token === newest)).toHaveLength(1);
    }
    harness.clock.advance(RESTORE_MS);
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([await tokensToRevoke(), harness.simulator.grantFor(realmId)?.revoked]).toEqual([[], true]);
  });

  it('saves the newest token if a second failover loses the end of the connection as well', async () => {
    const realmId = await harness.connect('twice');
    const before = await harness.row('twice');
    await loseRefresh('twice');
    const other = await harness.replica();
    failOver(other);
    await other.oauthService.disconnect(harness.key('twice'), 'billing');
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    await putBack(before);
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('twice')).toMatchObject({ is_active: 1, generation: 1 });
    expect(await storedToken('twice')).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
    await harness.knex('pending_revocations').delete();
    harness.clock.advance(RESTORE_MS);
  });

  it('writes a response back to a row that another process restores while it looks for it', async () => {
    const realmId = await harness.connect('found');
    await loseRefresh('found');
    jest.spyOn(harness.home.tokens, 'findCurrent').mockResolvedValueOnce(undefined);
    await until(async () => {
      failOver(harness.home); // the wait for other processes may take too long for this one
      await harness.home.backgroundTasks.drain();
      return (await harness.row('found')).generation === 1;
    });
    expect(await storedToken('found')).toBe(harness.simulator.grantFor(realmId)?.refreshToken);
    expect(await tokensToRevoke()).toEqual([]);
    harness.clock.advance(RESTORE_MS);
  });

  it('has no token revoked if the same company was connected again since', async () => {
    const realmId = await harness.connect('again');
    await loseRefresh('again');
    await harness.connect('again', realmId);
    failOver(harness.home);
    await harness.home.backgroundTasks.drain();
    expect(await tokensToRevoke()).toEqual([]);
    harness.clock.advance(RESTORE_MS);
    expect(await harness.use('again')).toBe(200);
  });

  it('sends no token if it notices the failover when it has the lease', async () => {
    await harness.connect('leased');
    const { refreshes } = harness.home;
    const acquire = refreshes.acquireLease.bind(refreshes);
    jest.spyOn(refreshes, 'acquireLease').mockImplementationOnce(async (...parameters) => {
      const isAcquired = await acquire(...parameters);
      failOver(harness.home);
      return isAcquired;
    });
    expect(await refresh('leased')).toMatchObject({ outcome: 'deferred' });
    expect(harness.refreshes()).toBe(0);
    await until(async () => (await harness.row('leased')).refresh_lease_owner === null);
    harness.clock.advance(RESTORE_MS);
    expect(await refresh('leased')).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
  });

  it('reads a row when a connection is closed, so that it notices a failover without any request', async () => {
    await harness.connect('idle');
    await refresh('idle');
    const before = harness.queries.length;
    harness.home.session.servers.disconnected();
    await until(() => harness.queries.length > before);
    expect(harness.queries[before]).toMatch(/^select .*oauth_tokens/);
  });

  /** Refreshes in the first process; the commit is then lost. */
  async function loseRefresh(organization: string): Promise<void> {
    const before = await harness.row(organization);
    expect(await refresh(organization)).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    await putBack(before);
  }

  /** Makes the row what it was. */
  async function putBack(row: OAuthTokenRow): Promise<void> {
    await harness
      .knex('oauth_tokens')
      .where('token_id', row.token_id)
      .update(written(row) as object);
  }

  async function tokensToRevoke(): Promise<string[]> {
    const rows = await harness.knex('pending_revocations').select('refresh_token');
    return rows.map((row) => harness.home.cipher.decrypt(row.refresh_token));
  }

  async function storedToken(organization: string): Promise<string> {
    const connection = await find(organization);
    return harness.home.cipher.decryptRefreshToken(connection, connection.tokens);
  }

  function failOver({ session: { servers } }: Context): void {
    const { server = 'SQLite, which has no servers' } = servers;
    servers.reached('the previous primary');
    servers.reached(server); // as connections that the pool opens from now on
  }

  async function refresh(organization: string, process: Context = harness.home): Promise<RefreshResult> {
    return process.tokenManager.refresh(await find(organization));
  }

  async function find(organization: string): Promise<ActiveConnection> {
    return (await harness.home.tokens.findCurrent(harness.key(organization))) as ActiveConnection;
  }
});

const newConnections = { restoreAll: async () => undefined } as unknown as NewConnectionRestorer;

it('refreshes again after a minute, even if a row cannot be written back', () => {
  let nowMs = 0;
  const failover = new FailoverRestorer({
    newConnections,
    saver: { restoreAll: () => new Promise(() => undefined) } as unknown as RefreshSaver,
    backgroundTasks: new BackgroundTasks(),
    clock: { monotonicMs: () => nowMs } as never,
    logger: { warn: () => undefined } as never,
  });
  failover.onOtherServer();
  nowMs = MAX_RESTORE_MS - 1;
  expect(failover.isRestored).toBe(false);
  nowMs = MAX_RESTORE_MS;
  expect(failover.isRestored).toBe(true);
});

it('restores everything again if another failover happens meanwhile, and logs both as one', async () => {
  const restoreAll = jest.fn(async () => {
    if (restoreAll.mock.calls.length === 1) failover.onOtherServer();
    expect(failover.isRestored).toBe(false);
    return 0;
  });
  let nowMs = 0;
  const warn = jest.fn();
  const backgroundTasks = new BackgroundTasks();
  const failover = new FailoverRestorer({
    newConnections,
    saver: { restoreAll } as unknown as RefreshSaver,
    backgroundTasks,
    clock: { monotonicMs: () => nowMs } as never,
    logger: { warn } as never,
  });
  expect(failover.isRestored).toBe(true);
  failover.onOtherServer();
  await backgroundTasks.drain();
  expect(restoreAll).toHaveBeenCalledTimes(2);
  nowMs = RESTORE_MS - 1;
  expect(failover.isRestored).toBe(false);
  nowMs = RESTORE_MS;
  expect(failover.isRestored).toBe(true);
  expect(warn).toHaveBeenCalledTimes(1);
  failover.onOtherServer();
  expect(warn).toHaveBeenCalledTimes(2);
  await backgroundTasks.drain();
});
