import { expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import { AppError } from '../../src/errors.ts';
import type { ActiveConnection, LostConnection, PlainToken } from '../../src/models/connection.ts';
import type { AccountingStrategy } from '../../src/strategies/accounting-strategy.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { codeOf, DAYS, HOURS, SECONDS, useHarness } from '../support/harness.ts';
import { written } from '../support/rows.ts';
import { until } from '../support/until.ts';

describeEachDatabase('token refreshers of several replicas', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });

  it('make one token call for sixty callers, all of whom receive the new token', async () => {
    const realmId = await connectExpired('shared');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const opened = await callers('shared', (call) => call);
    await until(() => harness.refreshes() === 1);
    release();
    const tokens = new Set((await Promise.all(opened)).map(({ accessToken }) => accessToken));
    expect([...tokens]).toEqual(harness.simulator.grantFor(realmId)?.accessTokens);
    expect(harness.refreshes()).toBe(1);
  });

  it('respect a Retry-After that one of them received, although the others read the row earlier', async () => {
    await connectExpired('throttled');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter: 60, times: null });
    const codes = new Set(await Promise.all(await callers('throttled', codeOf)));
    expect([...codes]).toEqual(['provider_unavailable']);
    expect(harness.refreshes()).toBe(1);
  });

  it('mark a connection as lost by one token call', async () => {
    const realmId = await connectExpired('rejected');
    harness.simulator.revokeGrant(realmId);
    const codes = new Set(await Promise.all(await callers('rejected', codeOf)));
    expect([...codes]).toEqual(['reauthorization_required']);
    expect(harness.refreshes()).toBe(1);
    expect(await harness.eventTypes('rejected')).toEqual(['connected', 'lost']);
  });

  it('use the tokens that another one saved while Intuit rejected their own call', async () => {
    await connectExpired('overtaken');
    const replica = await replicaWithRefresh(async (refreshToken) => {
      await saveAsAnotherReplica('overtaken', refreshToken);
      throw new ProviderError('rejected', { status: 400, reason: 'invalid_grant' });
    });
    const result = await replica.tokenManager.refresh(await active('overtaken'));
    expect(result).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(await harness.row('overtaken')).toMatchObject({ is_active: 1, generation: 1 });
  });

  it('save a response that arrives after another one marked the connection as lost', async () => {
    await connectExpired('revived');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const refreshing = harness.home.tokenManager.refresh(await active('revived'));
    await until(() => harness.refreshes() === 1);
    const loss = { reason: 'authorization_revoked', intuitTid: undefined, nextMaintenanceAt: fromNow(0) } as const;
    expect(await harness.home.tokens.markLost(await active('revived'), loss)).toMatchObject({ type: 'lost' });
    release();
    expect(await refreshing).toMatchObject({ outcome: 'current' });
    expect(await harness.eventTypes('revived')).toEqual(['connected', 'lost', 'recovered']);
    const row = await harness.row('revived');
    expect(row).toMatchObject({ is_active: 1, deactivation_reason: null });
    expect(new Date(row.next_maintenance_at ?? 0)).toEqual(fromNow(0)); // whether the grant survived is unknown
  });

  it('recover a lost connection by one token call', async () => {
    await harness.connect('lost');
    await harness.lose('lost');
    const lost = (await harness.home.tokens.findCurrent(harness.key('lost'))) as LostConnection;
    const workers = [harness.home, await harness.replica(), await harness.replica()];
    await Promise.all(workers.map(({ tokenManager }) => tokenManager.recover(lost)));
    expect(harness.refreshes()).toBe(1);
    expect(await harness.eventTypes('lost')).toEqual(['connected', 'lost', 'recovered']);
  });

  it.each([
    ['is rejected', 'rejected', { status: 400, reason: 'invalid_grant' }],
    ['times out', 'unavailable', { reason: 'timeout', isTimeout: true, isOutcomeUnknown: true }],
    ['is throttled', 'unavailable', { status: 429, reason: 'throttled' }],
  ] as const)('send the token of a lost connection once if the call %s', async (_, failure, details) => {
    const error = new ProviderError(failure, { ...details, retryAfterSeconds: 600 }); // longer than this test takes
    await harness.connect('still_lost');
    await harness.lose('still_lost');
    const lost = (await harness.home.tokens.findCurrent(harness.key('still_lost'))) as LostConnection;
    let calls = 0;
    const refresh = async () => {
      calls += 1;
      throw error;
    };
    const workers = await Promise.all([1, 2, 3].map(() => replicaWithRefresh(refresh)));
    await Promise.all(workers.map(({ tokenManager }) => tokenManager.recover(lost)));
    expect(calls).toBe(1);
    expect(await harness.row('still_lost')).toMatchObject({ is_active: 0, refresh_lease_owner: null });
    const late = { owner: 'one that read the row before', nextMaintenanceAt: fromNow(0) };
    expect(await harness.home.refreshes.acquireLease(lost, late)).toBe(false);
  });

  it.each(['disconnect', 'reconnect'] as const)(
    'revoke the token that they received if a %s overtook them',
    async (kind) => {
      const realmId = await connectExpired(kind);
      const release = harness.simulator.hold({ on: 'token', grantType: 'refresh_token', kind: 'slow_after' });
      const refreshing = harness.home.tokenManager.refresh(await active(kind));
      await until(() => harness.refreshes() === 1);
      const received = harness.simulator.grantFor(realmId)?.refreshToken;
      if (kind === 'disconnect') await harness.disconnect(kind);
      else await harness.connect(kind);
      release();
      expect(await refreshing).toMatchObject({ outcome: kind === 'disconnect' ? 'ended' : 'current' });
      expect(harness.simulator.callsTo('revoke').at(-1)?.token).toBe(received);
      expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
      expect(await harness.activeRows(kind)).toHaveLength(kind === 'disconnect' ? 0 : 1);
    },
  );

  /** Twenty callers on each of three replicas, all at once. */
  async function callers<T>(
    organization: string,
    watch: (call: ReturnType<Context['tokenManager']['accessToken']>) => Promise<T>,
  ): Promise<Promise<T>[]> {
    const replicas = [harness.home, await harness.replica(), await harness.replica()];
    return replicas.flatMap(({ tokenManager }) =>
      Array.from({ length: 20 }, () => watch(tokenManager.accessToken(harness.key(organization)))),
    );
  }

  async function replicaWithRefresh(refresh: AccountingStrategy['refresh']): Promise<Context> {
    const strategy = Object.create(harness.home.strategies.get('quickbooks')) as AccountingStrategy;
    return harness.replica({ strategies: [Object.assign(strategy, { refresh })] });
  }

  /** Refreshes the connection and saves the response, as a replica does whose lease was considered expired. */
  async function saveAsAnotherReplica(organization: string, refreshToken: PlainToken): Promise<void> {
    const { cipher, strategies, refreshes } = harness.home;
    const connection = await active(organization);
    const returned = await strategies.get('quickbooks').refresh(refreshToken);
    const refreshed = {
      tokens: cipher.encryptTokens(connection, { ...returned, refreshToken: returned.refreshToken ?? refreshToken }),
      intuitTid: returned.intuitTid,
      nextMaintenanceAt: fromNow(1 * DAYS),
    };
    expect(await refreshes.saveRefreshed(connection, refreshed)).toMatchObject({ isSaved: true });
  }

  async function connectExpired(organization: string): Promise<string> {
    const realmId = await harness.connect(organization);
    harness.clock.advance(2 * HOURS);
    return realmId;
  }

  async function active(organization: string): Promise<ActiveConnection> {
    return (await harness.home.tokens.findCurrent(harness.key(organization))) as ActiveConnection;
  }

  function fromNow(milliseconds: number): Date {
    return new Date(harness.clock.now().getTime() + milliseconds);
  }
});

describeEachDatabase('a token refresher whose neighbour died in a refresh', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, env: { PROVIDER_TIMEOUT_MS: '10000' } });
  const LEASE_MS = 15 * SECONDS;
  const PAUSE_MS = 6 * SECONDS;

  it('takes over a lease that it saw unchanged for the lease time, after an announcement and a pause', async () => {
    const realmId = await harness.connect('died');
    const refreshing = harness.home.tokenManager.refresh(await dieInRefresh('died'));
    await lookedAgain();
    harness.clock.advance(LEASE_MS);
    await until(async () => (await harness.row('died')).refresh_takeover_owner !== null);
    await lookedAgain();
    harness.clock.advance(PAUSE_MS / 2);
    await lookedAgain();
    await lookedAgain();
    expect(harness.refreshes()).toBe(0);
    harness.clock.advance(PAUSE_MS / 2);
    expect(await refreshing).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(harness.refreshes()).toBe(1);
    expect(harness.simulator.grantFor(realmId)?.accessTokens).toHaveLength(2);
  });

  it('does not announce a takeover before it has seen the lease for the lease time, whatever instants the row has', async () => {
    await harness.connect('recent');
    await dieInRefresh('recent');
    await harness.set('recent', { refresh_started_at: new Date(0), updated_at: new Date(0) });
    const refreshing = harness.home.tokenManager.refresh(await find('recent'));
    await lookedAgain();
    harness.clock.advance(LEASE_MS - 1 * SECONDS);
    await lookedAgain();
    await lookedAgain();
    expect(await harness.row('recent')).toMatchObject({ refresh_takeover_owner: null });
    harness.clock.advance(LEASE_MS);
    expect(await refreshing).toEqual({ outcome: 'deferred', cause: 'provider_unavailable' });
    expect(harness.refreshes()).toBe(0);
  });

  it('does not take over if the holder saves its response within the pause', async () => {
    await harness.connect('slow');
    const connection = await dieInRefresh('slow');
    const refreshing = harness.home.tokenManager.refresh(connection);
    await lookedAgain();
    harness.clock.advance(LEASE_MS);
    await until(async () => (await harness.row('slow')).refresh_takeover_owner !== null);
    const { cipher, strategies, refreshes } = harness.home;
    const sent = cipher.decryptRefreshToken(connection, connection.tokens);
    const returned = await strategies.get('quickbooks').refresh(sent);
    const complete = { ...returned, refreshToken: returned.refreshToken ?? sent };
    await refreshes.saveRefreshed(connection, {
      tokens: cipher.encryptTokens(connection, complete),
      intuitTid: undefined,
      nextMaintenanceAt: harness.clock.now(),
    });
    expect(await refreshing).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(harness.refreshes()).toBe(1);
  });

  it('reports rotation_lost if Intuit had processed the neighbour’s refresh', async () => {
    const realmId = await harness.connect('rotated');
    const connection = await dieInRefresh('rotated');
    const { cipher, strategies } = harness.home;
    await strategies.get('quickbooks').refresh(cipher.decryptRefreshToken(connection, connection.tokens));
    const refreshing = harness.home.tokenManager.refresh(connection);
    await lookedAgain();
    harness.clock.advance(LEASE_MS);
    await until(async () => (await harness.row('rotated')).refresh_takeover_owner !== null);
    await lookedAgain();
    harness.clock.advance(PAUSE_MS);
    expect(await refreshing).toMatchObject({ outcome: 'ended', connection: { realmId, reason: 'rotation_lost' } });
    expect(await harness.row('rotated')).toMatchObject({ is_active: 0, deactivation_reason: 'rotation_lost' });
  });

  it('releases a lease that it acquired too late to use, and clears its record', async () => {
    await harness.connect('late');
    const { refreshes } = harness.home;
    const acquire = refreshes.acquireLease.bind(refreshes);
    const spy = jest.spyOn(refreshes, 'acquireLease').mockImplementationOnce(async (...parameters) => {
      const isAcquired = await acquire(...parameters);
      harness.clock.advance(3 * SECONDS); // the process was paused, or the write took as long
      return isAcquired;
    });
    expect(await harness.home.tokenManager.refresh(await find('late'))).toMatchObject({ outcome: 'current' });
    expect(spy).toHaveBeenCalledTimes(2);
    expect(harness.refreshes()).toBe(1);
    spy.mockRestore();
  });

  it('releases a lease whose acquiring write failed although it took effect', async () => {
    const realmId = await harness.connect('unknown');
    const { refreshes } = harness.home;
    const acquire = refreshes.acquireLease.bind(refreshes);
    const spy = jest.spyOn(refreshes, 'acquireLease').mockImplementationOnce(async (...parameters) => {
      await acquire(...parameters);
      throw new AppError('service_unavailable');
    });
    const failed = harness.home.tokenManager.refresh(await find('unknown'));
    await expect(failed).rejects.toMatchObject({ code: 'service_unavailable' });
    spy.mockRestore();
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('unknown')).toMatchObject({ refresh_lease_owner: null, refresh_started_at: null });
    harness.simulator.revokeGrant(realmId);
    expect(await harness.home.tokenManager.refresh(await find('unknown'))).toMatchObject({
      connection: { reason: 'authorization_revoked' }, // and not rotation_lost: nothing had been sent
    });
  });

  it('releases it as soon as the database is available, however long that takes, and acquires no other until then', async () => {
    await harness.connect('outage');
    const { refreshes, tokenManager, backgroundTasks } = harness.home;
    const unavailable = new AppError('service_unavailable');
    const acquire = refreshes.acquireLease.bind(refreshes);
    const acquiring = jest.spyOn(refreshes, 'acquireLease').mockImplementationOnce(async (...parameters) => {
      await acquire(...parameters);
      throw unavailable;
    });
    const abandoning = jest.spyOn(refreshes, 'abandonLease').mockRejectedValue(unavailable);
    const connection = await find('outage');
    await expect(tokenManager.refresh(connection)).rejects.toBe(unavailable);
    harness.clock.advance(10 * LEASE_MS);
    await until(() => abandoning.mock.calls.length > 1);
    await expect(tokenManager.refresh(connection)).rejects.toBe(unavailable);
    expect(acquiring).toHaveBeenCalledTimes(1);
    abandoning.mockRestore();
    await backgroundTasks.drain();
    expect(await harness.row('outage')).toMatchObject({ refresh_lease_owner: null, refresh_started_at: null });
    expect(await tokenManager.refresh(connection)).toMatchObject({ outcome: 'current' });
    acquiring.mockRestore();
  });

  it('writes its last response again if a failover of the database has lost it', async () => {
    const realmId = await harness.connect('failover');
    const [before] = await harness.rows('failover');
    expect(await harness.home.tokenManager.refresh(await find('failover'))).toMatchObject({ outcome: 'current' });
    const old = written(before as OAuthTokenRow);
    await harness
      .knex('oauth_tokens')
      .where('token_id', old.token_id)
      .update(old as object);
    expect(await harness.home.tokenManager.refresh(await find('failover'))).toMatchObject({ outcome: 'current' });
    const { refreshToken } = harness.simulator.grantFor(realmId) ?? {};
    const connection = await find('failover');
    expect(harness.home.cipher.decryptRefreshToken(connection, connection.tokens)).toBe(refreshToken);
    expect(harness.refreshes()).toBe(1); // the old token was not sent again
  });

  /** A connection whose refresh was started by a process that will not finish it. */
  async function dieInRefresh(organization: string): Promise<ActiveConnection> {
    const lease = { owner: 'the process that died', nextMaintenanceAt: harness.clock.now() };
    expect(await harness.home.refreshes.acquireLease(await find(organization), lease)).toBe(true);
    return find(organization);
  }

  async function find(organization: string): Promise<ActiveConnection> {
    return (await harness.home.tokens.findCurrent(harness.key(organization))) as ActiveConnection;
  }

  /** Resolves once the row was read again. */
  async function lookedAgain(): Promise<void> {
    const before = harness.queries.length;
    await until(() => harness.queries.length > before + 1);
  }
});
