import { expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { codeOf, DAYS, HOUR, MINUTES, useTokenBench } from '../support/token-bench.ts';

describeEachDatabase('a token manager', (createDatabase) => {
  const bench = useTokenBench(createDatabase);

  it('hands out a fresh token by one SELECT, and writes and calls nothing', async () => {
    const { realmId } = await bench.connect('fresh');
    const before = await bench.row('fresh');
    bench.advance(HOUR - 5 * MINUTES - 1_000);
    bench.queries.splice(0);

    const { accessToken, connection } = await bench.replica().accessToken('fresh');
    expect(bench.queries).toEqual([expect.stringMatching(/^select .*limit \?$/i)]);
    expect(bench.simulator.grantFor(realmId)?.accessTokens).toEqual([accessToken]);
    expect(connection.realmId).toBe(realmId);
    expect(await bench.row('fresh')).toEqual(before);
    expect(bench.simulator.calls).toEqual([]);
  });

  it('hands out an ageing token at once, and renews it behind', async () => {
    const { realmId } = await bench.connect('ageing');
    const manager = bench.replica();
    bench.simulator.fail({ on: 'token', kind: 'slow', delayMs: 300 });
    bench.advance(HOUR - 5 * MINUTES);
    bench.queries.splice(0);

    const [old] = bench.simulator.grantFor(realmId)?.accessTokens ?? [];
    expect((await manager.accessToken('ageing')).accessToken).toBe(old);
    expect(bench.simulator.grantFor(realmId)?.accessTokens).toHaveLength(1); // it did not wait
    await bench.inFlight.settled();
    const next = bench.simulator.grantFor(realmId)?.accessTokens.at(-1);
    expect((await manager.accessToken('ageing')).accessToken).toBe(next);
    expect([bench.refreshes(), next === old]).toEqual([1, false]);
  });

  it('waits for the renewal of an expired one, and saves all that came with it', async () => {
    const { realmId } = await bench.connect('expired');
    const before = await bench.row('expired');
    bench.advance(30 * DAYS);

    const { accessToken } = await bench.replica().accessToken('expired');
    const grant = bench.simulator.grantFor(realmId);
    const row = await bench.row('expired');
    expect(grant?.accessTokens).toEqual([accessToken]);
    expect(bench.fernet.decrypt(row.access_token)).toBe(accessToken);
    expect(bench.fernet.decrypt(row.refresh_token)).toBe(grant?.refreshToken);
    expect(new Date(row.access_token_expires_at)).toEqual(inFuture(HOUR));
    expect(new Date(row.refresh_token_expires_at)).toEqual(inFuture(101 * DAYS));
    const hardEnd = new Date(row.refresh_token_hard_expires_at ?? 0).getTime();
    expect(hardEnd - inFuture(1795 * DAYS).getTime()).toBeLessThanOrEqual(0);
    expect(hardEnd - inFuture(1795 * DAYS).getTime()).toBeGreaterThan(-2_000);
    expect(new Date(row.last_refreshed_at ?? 0)).toEqual(bench.now);
    expect(row).toMatchObject({
      token_id: before.token_id,
      generation: before.generation + 1,
      is_active: 1,
      last_intuit_tid: bench.simulator.callsTo('token')[0]?.intuitTid,
      refresh_lease_owner: null,
      refresh_lease_expires_at: null,
      refresh_started_at: null,
      refresh_failures: 0,
      next_refresh_attempt_at: null,
    });
  });

  it('makes one token call for 300 callers of an expired connection', async () => {
    await bench.connect('crowd');
    bench.advance(2 * HOUR);
    const manager = bench.replica();
    const opened = await Promise.all(Array.from({ length: 300 }, () => manager.accessToken('crowd')));
    expect(new Set(opened.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(bench.refreshes()).toBe(1);
  });

  it('renews different connections at the same time', async () => {
    const organizations = ['a', 'b', 'c', 'd'];
    for (const organization of organizations) await bench.connect(organization);
    bench.simulator.fail({ on: 'token', kind: 'slow', delayMs: 500, times: 4 });
    bench.advance(2 * HOUR);
    const manager = bench.replica();
    const started = performance.now();
    await Promise.all(organizations.map((organization) => manager.accessToken(organization)));
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(bench.refreshes()).toBe(4);
  });

  it('keeps the old refresh token where an answer holds none', async () => {
    const { realmId } = await bench.connect('omitted');
    const refreshToken = bench.simulator.grantFor(realmId)?.refreshToken;
    bench.simulator.fail({ on: 'token', kind: 'omit_refresh_token' });
    bench.advance(2 * HOUR);
    await bench.replica().accessToken('omitted');
    expect(bench.fernet.decrypt((await bench.row('omitted')).refresh_token)).toBe(refreshToken);

    bench.advance(2 * HOUR);
    const { accessToken } = await bench.replica().accessToken('omitted');
    expect(bench.simulator.grantFor(realmId)?.accessTokens).toEqual([accessToken]);
  });

  it.each([
    ['as numbers', (seconds: number) => seconds],
    ['as strings', String],
  ])('believes each answer’s own lifetimes, given %s', async (_, write) => {
    await bench.connect('lifetimes');
    bench.simulator.fail({
      on: 'token',
      kind: 'json',
      body: {
        access_token: 'eyJcanary',
        expires_in: write(1_800),
        refresh_token: 'AB11canary',
        x_refresh_token_expires_in: write(50 * 86_400),
        x_refresh_token_hard_expires_in: write(20 * 86_400),
        token_type: 'bearer',
        of_no_interest: {},
      },
    });
    bench.advance(2 * HOUR);
    await bench.replica().accessToken('lifetimes');
    const row = await bench.row('lifetimes');
    expect(new Date(row.access_token_expires_at)).toEqual(inFuture(30 * MINUTES));
    expect(new Date(row.refresh_token_expires_at)).toEqual(inFuture(20 * DAYS)); // the sooner of the two
    expect(new Date(row.refresh_token_hard_expires_at ?? 0)).toEqual(inFuture(20 * DAYS));
  });

  it.each([
    ['its own end goes beyond the five years', { x_refresh_token_expires_in: 100 * 86_400 }],
    ['no lifetimes come at all', {}],
  ])('keeps the five-year end it knows, where an answer does not repeat it and %s', async (_, lifetimes) => {
    await bench.connect('horizon');
    const hardEnd = inFuture(10 * DAYS);
    const columns = { refresh_token_expires_at: hardEnd, refresh_token_hard_expires_at: hardEnd };
    await bench.set('horizon', columns);
    const body = { access_token: 'eyJcanary', expires_in: 3_600, refresh_token: 'AB11canary', ...lifetimes };
    bench.simulator.fail({ on: 'token', kind: 'json', body });
    bench.advance(2 * HOUR);
    await bench.replica().accessToken('horizon');
    const row = await bench.row('horizon');
    expect(new Date(row.refresh_token_hard_expires_at ?? 0)).toEqual(hardEnd);
    expect(new Date(row.refresh_token_expires_at)).toEqual(hardEnd);
  });

  it('does not send a refresh token past its end: the connection is lost, and stays so', async () => {
    await bench.connect('ended');
    bench.advance(102 * DAYS);
    const manager = bench.replica();
    expect(await codeOf(manager.accessToken('ended'))).toBe('reauthorization_required');
    expect(await codeOf(manager.accessToken('ended'))).toBe('reauthorization_required');
    expect(await bench.row('ended')).toMatchObject({ is_active: 0, deactivation_reason: 'refresh_token_expired' });
    expect((await bench.row('ended')).refresh_token).not.toBe('');
    expect(bench.refreshes()).toBe(0);
  });

  it('sends it up to its last moment', async () => {
    await bench.connect('last-moment');
    await bench.set('last-moment', { refresh_token_expires_at: inFuture(2 * HOUR) });
    bench.advance(2 * HOUR - 1);
    await bench.replica().accessToken('last-moment');
    expect(bench.refreshes()).toBe(1);
  });

  it('finds no connection where there never was one, or where it was disconnected', async () => {
    await bench.connect('gone');
    await bench.tokens.disconnect('gone', 'quickbooks', 'somebody');
    expect(await codeOf(bench.replica().accessToken('gone'))).toBe('connection_not_found');
    expect(await codeOf(bench.replica().accessToken('never'))).toBe('connection_not_found');
  });

  it('fails on a row that no key opens, for that organization alone and without a call', async () => {
    await bench.connect('neighbour');
    await bench.connect('unreadable');
    await bench.set('unreadable', { refresh_token: 'gAAAAAnonsense' as Ciphertext });
    bench.advance(2 * HOUR);
    const manager = bench.replica();
    expect(await codeOf(manager.accessToken('unreadable'))).toBe('InvalidFernetToken');
    expect(bench.refreshes()).toBe(0);
    expect(await bench.row('unreadable')).toMatchObject({ is_active: 1, refresh_lease_owner: null });
    expect(await codeOf(manager.accessToken('neighbour'))).toBe('it succeeded');
  });

  it('tells of a renewal behind an ageing token that fails by a fault of ours', async () => {
    await bench.connect('silent');
    await bench.set('silent', { refresh_token: 'gAAAAAnonsense' as Ciphertext });
    bench.advance(HOUR - 2 * MINUTES);
    const before = bench.logs.length;
    await bench.replica().accessToken('silent');
    await bench.inFlight.settled();
    const levels = bench.logs.slice(before).map((line) => JSON.parse(line).level);
    expect(levels).toEqual([50]);
  });

  function inFuture(milliseconds: number): Date {
    return new Date(bench.now.getTime() + milliseconds);
  }
});
