import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { seal } from '../../src/crypto/token-cipher.ts';
import { Session } from '../../src/db/session.ts';
import type { OAuthTokenRow } from '../../src/db/tables.ts';
import type { Connection } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { useTokenBench } from '../support/token-bench.ts';
import { openTokens } from '../support/token-datastore.ts';

const LEASE_MS = 60_000;

describeEachDatabase('the lease of a refresh', (createDatabase, kind) => {
  const bench = useTokenBench(createDatabase);
  const none = { isFailing: false, startedAt: undefined, failures: 0, nextAttemptAt: undefined, keepsLease: false };

  it('is given to one of twenty who ask at once', async () => {
    const connection = await connected('twenty');
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => acquire(connection, `owner-${index}`)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await find('twenty')).toMatchObject({ generation: 0, refresh: { lease: 'held', startedAt: bench.now } });
  });

  it('is given to nobody else while it is held, though they read the row after', async () => {
    await acquire(await connected('held'), 'first');
    expect(await acquire(await find('held'), 'second')).toBe(false);
  });

  it('is abandoned when it ran out, and given to one who saw that', async () => {
    const stale = await connected('abandoned');
    await acquire(stale, 'first', -1);
    const seen = await find('abandoned');
    expect(seen.refresh).toMatchObject({ lease: 'abandoned', startedAt: expect.any(Date) });
    expect(await acquire(stale, 'of another time')).toBe(false);
    const answers = await Promise.all(['second', 'third'].map((owner) => acquire(seen, owner)));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  it('is measured by the database’s clock, not by the process’s', async () => {
    const connection = await connected('clock');
    const earliest = Date.now();
    await acquire(connection, 'first');
    const latest = Date.now();
    bench.advance(10 * LEASE_MS);
    expect((await find('clock')).refresh.lease).toBe('held');
    const row = await bench.row('clock');
    const begun = new Date(row.refresh_lease_expires_at ?? 0).getTime() - LEASE_MS;
    expect(begun).toBeGreaterThanOrEqual(earliest - 1); // the database may round
    expect(begun).toBeLessThanOrEqual(latest + 1);
  });

  it('is refused for a connection that was refreshed, replaced, disconnected or lost meanwhile', async () => {
    const changes: [string, (connection: Connection) => Promise<unknown>][] = [
      ['refreshed', (connection) => save(connection)],
      ['replaced', () => bench.connect('replaced')],
      ['disconnected', () => bench.tokens.disconnect('disconnected', 'quickbooks', 'somebody')],
      ['lost', (connection) => bench.tokens.deactivate(connection, 'authorization_revoked')],
    ];
    for (const [organization, change] of changes) {
      const connection = await connected(organization);
      await change(connection);
      expect([organization, await acquire(connection)]).toEqual([organization, false]);
    }
  });

  it('is refused to those who read the row before a refresh failed: they know nothing of its back-off', async () => {
    const early = await connected('back-off');
    await acquire(early, 'first');
    const nextAttemptAt = new Date(bench.now.getTime() + 60_000);
    await bench.tokens.failRefresh(early, 'first', { ...none, failures: 1, nextAttemptAt });
    expect(await acquire(early, 'second')).toBe(false);
    expect((await find('back-off')).refresh).toEqual({
      lease: 'free',
      startedAt: undefined,
      failures: 1,
      nextAttemptAt,
      isFailing: false,
    });
  });

  it('is given back by its owner alone', async () => {
    const connection = await connected('owned');
    await acquire(connection, 'first');
    expect(await bench.tokens.failRefresh(connection, 'second', none)).toBe(false);
    expect((await find('owned')).refresh.lease).toBe('held');
    expect(await bench.tokens.failRefresh(connection, 'first', none)).toBe(true);
    expect((await find('owned')).refresh.lease).toBe('free');
  });

  it('is left to run out where the outcome is unknown', async () => {
    const connection = await connected('unknown');
    await acquire(connection, 'first');
    await bench.tokens.failRefresh(connection, 'first', {
      ...none,
      startedAt: bench.now,
      failures: 1,
      keepsLease: true,
    });
    expect((await find('unknown')).refresh).toMatchObject({ lease: 'held', startedAt: bench.now, failures: 1 });
  });

  it('ends with the refresh that is saved, which counts one generation', async () => {
    const connection = await connected('saved');
    await acquire(connection, 'first');
    expect(await save(connection)).toBe(true);
    expect(await save(connection)).toBe(false);
    const free = { lease: 'free', startedAt: undefined, failures: 0, nextAttemptAt: undefined };
    expect(await find('saved')).toMatchObject({ generation: 1, lastRefreshedAt: bench.now, refresh: free });
  });

  it('does not save over a disconnect or a reconnect', async () => {
    const [disconnected, replaced] = [await connected('disconnecting'), await connected('replacing')];
    await bench.tokens.disconnect('disconnecting', 'quickbooks', 'somebody');
    await bench.connect('replacing');
    const rows = await bench.knex('oauth_tokens').orderBy('token_id');
    expect([await save(disconnected), await save(replaced)]).toEqual([false, false]);
    expect(await bench.knex('oauth_tokens').orderBy('token_id')).toEqual(rows);
  });

  it('saves an answer that waited so long that another process took the connection for lost', async () => {
    const connection = await connected('revived');
    await bench.tokens.deactivate(connection, 'rotation_lost');
    const lost = await find('revived');
    expect(await save(connection)).toBe(true);
    const revived = await find('revived');
    expect(revived).toMatchObject({ isActive: true, lossReason: undefined });
    expect(revived.generation).toBeGreaterThan(lost.generation); // every write moves it on
  });

  it('does not save an old answer over a connection that was refreshed since, and lost after that', async () => {
    const early = await connected('overtaken');
    await save(early);
    await save(await find('overtaken'));
    await bench.tokens.deactivate(await find('overtaken'), 'authorization_revoked');
    const lost = await bench.row('overtaken');
    expect(await save(early)).toBe(false);
    expect(await bench.row('overtaken')).toEqual(lost);
  });

  if (kind === 'SQLite') return; // it counts no reads

  it('leaves finding a connection a matter of one or two rows, whatever is stored', async () => {
    await bench.connect('read');
    const { current_key: _, ...template } = await bench.row('read');
    const rows = Array.from({ length: 4_000 }, (_, index): Partial<OAuthTokenRow> => {
      const token_id = randomUUID();
      if (index % 2) return { ...template, token_id, organization_id: `org-${index}` };
      return { ...template, token_id, is_active: 0, deactivation_reason: 'replaced' };
    });
    await bench.knex.batchInsert('oauth_tokens', rows, 500);
    const [counters] = await bench.knex.transaction(async (connection): Promise<{ Value: string }[][]> => {
      await connection.raw('FLUSH STATUS');
      const tokens = openTokens(new Session(connection, 'mysql'), () => bench.now);
      expect(await tokens.findCurrent('read', 'quickbooks')).toMatchObject({ tokenId: template.token_id });
      return connection.raw("SHOW SESSION STATUS LIKE 'Handler_read%'");
    });
    const reads = (counters ?? []).reduce((sum, { Value }) => sum + Number(Value), 0);
    expect([1, 2]).toContain(reads);
  });

  async function connected(organization: string): Promise<Connection> {
    await bench.connect(organization);
    return find(organization);
  }

  async function find(organization: string): Promise<Connection> {
    return (await bench.tokens.findCurrent(organization, 'quickbooks')) as Connection;
  }

  async function acquire(connection: Connection, owner = 'owner', milliseconds = LEASE_MS): Promise<boolean> {
    return bench.tokens.acquireRefreshLease(connection, owner, milliseconds);
  }

  async function save(connection: Connection): Promise<boolean> {
    const tokens = {
      accessToken: 'eyJcanary',
      accessTokenExpiresAt: new Date(bench.now.getTime() + 3_600_000),
      refreshToken: 'AB11canary',
      refreshTokenExpiresAt: new Date(bench.now.getTime() + 86_400_000),
      refreshTokenHardExpiresAt: undefined,
      intuitTid: 'tid',
    };
    return bench.tokens.saveRefreshed(connection, seal(bench.fernet, tokens));
  }
});
