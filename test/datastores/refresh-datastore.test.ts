import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import type { FailedRefresh } from '../../src/datastores/refresh-datastore.ts';
import type { ActiveConnection, EncryptedTokens, LossReason, PlainToken } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, useHarness } from '../support/harness.ts';
import { rowOf, written } from '../support/rows.ts';

const NOTHING_STARTED = { startedAt: undefined, failures: 0, backOffMs: 0 };

describeEachDatabase('RefreshDatastore', (createDatabase, kind) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });

  it('grants the lease to one of twenty concurrent callers', async () => {
    const connection = await connect();
    const calls = Array.from({ length: 20 }, (_, index) => acquire(connection, `owner-${index}`));
    expect((await Promise.all(calls)).filter(Boolean)).toHaveLength(1);
    expect(await find()).toMatchObject({
      generation: 0,
      refresh: { owner: expect.any(String), startedAt: harness.clock.now() },
      maintenance: { nextAt: later() },
    });
  });

  it('denies a held lease to a caller that has read the row since', async () => {
    await acquire(await connect(), 'first');
    expect(await acquire(await find(), 'second')).toBe(false);
  });

  it('grants a lease whose takeover was announced only to a reader of the announcement', async () => {
    await acquire(await connect(), 'gone');
    const seen = await find();
    await harness.home.refreshes.announceTakeover(seen, 'process-a');
    await harness.home.refreshes.announceTakeover(seen, 'process-b'); // has read the row before the first announcement
    expect(await acquire(seen, 'earlier reader')).toBe(false);
    const announced = await find();
    expect(announced.refresh).toMatchObject({ owner: 'gone', takeoverOwner: 'process-a' });
    const granted = await Promise.all(['second', 'third'].map((owner) => acquire(announced, owner)));
    expect(granted.filter(Boolean)).toHaveLength(1);
    expect((await find()).refresh).toMatchObject({ owner: expect.any(String), takeoverOwner: undefined });
  });

  it('clears the record of a lease under which nothing was sent', async () => {
    const connection = await connect();
    await acquire(connection, 'unused');
    const { refreshes } = harness.home;
    expect(await refreshes.abandonLease(connection, 'another')).toBe(false);
    expect(await refreshes.abandonLease(connection, 'unused')).toBe(true);
    expect((await find()).refresh).toMatchObject({ owner: undefined, startedAt: undefined });
    await save(connection);
    expect(await refreshes.abandonLease(connection, 'unused')).toBe(true); // the connection has changed since
  });

  it('measures a back-off by the database’s clock, not by the process’s', async () => {
    const connection = await connect();
    await acquire(connection, 'first');
    await release(connection, 'first', { failures: 1, backOffMs: 60_000 });
    harness.clock.setWallClock(new Date(0));
    const found = await harness.home.refreshes.findForRefresh(harness.key('acme'));
    expect(found?.backOffMs).toBeGreaterThan(0);
    expect(found?.backOffMs).toBeLessThanOrEqual(60_000);
  });

  it.each<[change: string, (connection: ActiveConnection) => Promise<unknown>]>([
    ['refreshed', (connection) => save(connection)],
    ['replaced', () => harness.connect('acme')],
    ['disconnected', () => harness.disconnect('acme')],
    ['lost', (connection) => markLost(connection, 'authorization_revoked')],
  ])('denies the lease for a connection that was %s meanwhile', async (_, change) => {
    const connection = await connect();
    await change(connection);
    expect(await acquire(connection)).toBe(false);
  });

  it('denies the lease to a caller that read the row before a refresh failed, since it does not know of its back-off', async () => {
    const connection = await connect();
    await acquire(connection, 'first');
    await release(connection, 'first', { failures: 1 });
    expect(await acquire(connection, 'second')).toBe(false);
    expect((await find()).refresh).toMatchObject({ owner: undefined, startedAt: undefined, failures: 1 });
    expect(await acquire(await find(), 'third')).toBe(true);
  });

  it('releases the lease for its owner only', async () => {
    const connection = await connect();
    await acquire(connection, 'first');
    await release(connection, 'second', { failures: 7 });
    expect((await find()).refresh).toMatchObject({ owner: 'first', failures: 0 });
    await release(connection, 'first', { failures: 1 });
    expect((await find()).refresh).toMatchObject({ owner: undefined, failures: 1 });
  });

  it('keeps the record of a refresh whose outcome is unknown', async () => {
    const connection = await connect();
    await acquire(connection, 'first');
    const startedAt = harness.clock.now();
    await release(connection, 'first', { startedAt, failures: 1 });
    expect((await find()).refresh).toMatchObject({ owner: undefined, startedAt, failures: 1 });
  });

  it('records the first failure that callers notice, once, and the recovery from it', async () => {
    const failing = { isFailing: true, intuitTid: '1-tid' };
    const connection = await connect();
    await acquire(connection, 'first');
    const event = { ...harness.key('acme'), type: 'refresh_failing', actor: 'service', intuitTid: '1-tid' };
    expect(await release(connection, 'first', { ...failing, failures: 1 })).toMatchObject(event);
    const again = await find();
    expect(again.refresh.isFailing).toBe(true);
    await acquire(again, 'second');
    expect(await release(again, 'second', { ...failing, failures: 2 })).toBeUndefined();
    await save(await find());
    expect((await find()).refresh.isFailing).toBe(false);
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'refresh_failing', 'refresh_recovered']);
  });

  it('saves a refresh once, which ends the lease and counts as one generation', async () => {
    const connection = await connect();
    await acquire(connection, 'first');
    expect(await save(connection)).toBe(true);
    expect(await save(connection)).toBe(false);
    const now = harness.clock.now();
    expect(await find()).toMatchObject({
      generation: 1,
      lastRefreshedAt: now,
      lastVerifiedAt: now,
      refresh: { owner: undefined, startedAt: undefined, failures: 0 },
      maintenance: { nextAt: later() },
    });
    expect(await harness.row('acme')).toMatchObject({ last_intuit_tid: 'tid' });
  });

  it('reports a refresh as saved if the call is repeated after a lost response', async () => {
    const connection = await connect();
    const refreshed = { tokens: encrypted(connection), intuitTid: 'tid', nextMaintenanceAt: later() };
    expect(await harness.home.refreshes.saveRefreshed(connection, refreshed)).toMatchObject({ isSaved: true });
    expect(await harness.home.refreshes.saveRefreshed(connection, refreshed)).toEqual({
      isSaved: true,
      generation: 1,
    });
    expect((await find()).generation).toBe(1);
  });

  it('leaves a connection unproven when its refresh is saved', async () => {
    await connect();
    await harness.set('acme', { last_verified_at: null });
    await save(await find());
    expect((await find()).lastVerifiedAt).toBeUndefined();
  });

  it('does not save a refresh over a disconnect or a reconnect', async () => {
    const [disconnected, replaced] = [await connect('disconnected'), await connect('replaced')];
    await harness.disconnect('disconnected');
    await harness.connect('replaced');
    const rows = await harness.knex('oauth_tokens').orderBy('token_id');
    expect([await save(disconnected), await save(replaced)]).toEqual([false, false]);
    expect(await harness.knex('oauth_tokens').orderBy('token_id')).toEqual(rows);
  });

  it('saves a refresh that waited so long that another process marked the connection as lost', async () => {
    const connection = await connect();
    await markLost(connection, 'rotation_lost');
    const { generation } = await harness.row('acme');
    expect(await save(connection)).toBe(true);
    const revived = await find();
    expect(revived.state).toBe('active');
    expect(revived.generation).toBeGreaterThan(generation); // every write counts
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'lost', 'recovered']);
  });

  it('schedules a refresh now for a connection that was revived, since another process may have sent a later token', async () => {
    const connection = await connect();
    await markLost(connection, 'rotation_lost');
    await save(connection);
    const now = harness.clock.now();
    expect(await find()).toMatchObject({ refresh: { startedAt: now }, maintenance: { nextAt: now } });
  });

  it('does not save an old refresh over a connection that was refreshed since, and is now lost', async () => {
    const early = await connect();
    await save(early);
    await save(await find());
    await markLost(await find(), 'authorization_revoked');
    const lost = await harness.row('acme');
    expect(await save(early)).toBe(false);
    expect(await harness.row('acme')).toEqual(lost);
  });

  it('marks a connection as lost once, with its ciphertext, and not if it changed meanwhile', async () => {
    const early = await connect();
    await save(early);
    expect(await markLost(early, 'rotation_lost')).toBeUndefined();
    const connection = await find();
    const loss = { ...harness.key('acme'), type: 'lost', actor: 'service', reason: 'rotation_lost' };
    expect(await markLost(connection, 'rotation_lost')).toMatchObject(loss);
    expect(await markLost(connection, 'rotation_lost')).toBeUndefined();
    expect(await harness.home.tokens.findCurrent(harness.key('acme'))).toMatchObject({
      state: 'lost',
      reason: 'rotation_lost',
      lostAt: harness.clock.now(),
      tokens: connection.tokens,
      maintenance: { nextAt: later(), recoveryAttempts: 0 },
    });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'lost']);
  });

  if (kind === 'SQLite') return; // it does not count reads

  it('reads one or two rows to find a connection, however many are stored', async () => {
    await connect();
    const template = written(await harness.row('acme'));
    const rows = Array.from({ length: 4_000 }, (_, index) => {
      const other = { organization_id: `org-${index}` };
      const replaced = { is_active: 0, deactivation_reason: 'replaced' };
      return rowOf({ ...template, token_id: randomUUID(), ...(index % 2 === 0 ? replaced : other) });
    });
    await harness.knex.batchInsert('oauth_tokens', rows, 500);
    const query = await queryOf(find);
    const [counters] = await harness.knex.transaction(async (trx): Promise<{ Value: string }[][]> => {
      await trx.raw('FLUSH STATUS');
      await trx.raw(query.sql, query.bindings);
      return trx.raw("SHOW SESSION STATUS LIKE 'Handler_read%'");
    });
    const reads = (counters ?? []).reduce((sum, { Value }) => sum + Number(Value), 0);
    expect([1, 2]).toContain(reads);
  });

  /** The statement that `work` sends to the database. */
  async function queryOf(work: () => Promise<unknown>): Promise<{ sql: string; bindings: string[] }> {
    const sent = new Promise<{ sql: string; bindings: string[] }>((resolve) => {
      harness.home.session.knex.once('query', resolve);
    });
    await work();
    return sent;
  }

  async function connect(organizationId = 'acme'): Promise<ActiveConnection> {
    await harness.connect(organizationId);
    return find(organizationId);
  }

  async function find(organizationId = 'acme'): Promise<ActiveConnection> {
    const connection = await harness.home.tokens.findCurrent(harness.key(organizationId));
    if (connection?.state !== 'active') throw new Error(`${organizationId} has no active connection`);
    return connection;
  }

  async function acquire(connection: ActiveConnection, owner = 'owner'): Promise<boolean> {
    return harness.home.refreshes.acquireLease(connection, { owner, nextMaintenanceAt: later() });
  }

  async function release(connection: ActiveConnection, owner: string, failed: Partial<FailedRefresh>) {
    return harness.home.refreshes.releaseLease(connection, owner, {
      ...NOTHING_STARTED,
      isFailing: false,
      intuitTid: undefined,
      nextMaintenanceAt: later(),
      ...failed,
    });
  }

  async function save(connection: ActiveConnection): Promise<boolean> {
    const refreshed = { tokens: encrypted(connection), intuitTid: 'tid', nextMaintenanceAt: later() };
    return (await harness.home.refreshes.saveRefreshed(connection, refreshed)).isSaved;
  }

  function encrypted(connection: ActiveConnection): EncryptedTokens {
    const now = harness.clock.now().getTime();
    return harness.home.cipher.encryptTokens(connection, {
      accessToken: 'eyJcanary' as PlainToken,
      accessTokenExpiresAt: new Date(now + 1 * HOURS),
      refreshToken: 'AB11canary' as PlainToken,
      refreshTokenExpiresAt: new Date(now + 100 * DAYS),
      isRefreshExpiryAssumed: false,
      authorizationExpiresAt: undefined,
      intuitTid: 'tid',
    });
  }

  async function markLost(connection: ActiveConnection, reason: LossReason) {
    const loss = { reason, intuitTid: undefined, nextMaintenanceAt: later() };
    return harness.home.tokens.markLost(connection, loss);
  }

  function later(): Date {
    return new Date(harness.clock.now().getTime() + 1 * HOURS);
  }
});
