import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { DatabaseClock } from '../../src/db/database-clock.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, useHarness } from '../support/harness.ts';
import { startReplica } from '../support/service.ts';

/** SQLite has no clock but the process's. */
describeEachDatabase('a process whose clock is wrong', (createDatabase, kind) => {
  if (kind === 'SQLite') return;
  const harness = useHarness(createDatabase, { isolated: true, env: { VERIFY_IDLE_HOURS: '24' } });
  const differences: number[] = [];
  const replicas: Record<'ahead' | 'behind', Context | undefined> = { ahead: undefined, behind: undefined };

  beforeAll(async () => {
    replicas.ahead = await start(120 * DAYS);
    replicas.behind = await start(-120 * DAYS);
  });
  afterAll(async () => {
    for (const replica of Object.values(replicas)) await replica?.close();
  });

  it('notices it by the database’s clock', async () => {
    for (const replica of Object.values(replicas)) await replica?.worker.tick();
    const days = differences.map((difference) => Math.round(difference / DAYS)).sort((a, b) => a - b);
    expect(days).toEqual([-120, 120]);
  });

  it.each(['ahead', 'behind'] as const)('stores and compares the database’s instants (%s)', async (name) => {
    const replica = replicas[name] as Context;
    const { authorizationUrl, browserSecret } = replica.oauthService.connect(harness.key('acme'), 'billing');
    const query = new URL(await harness.simulator.authorize(authorizationUrl, { realmId: '1' })).searchParams;
    const parameters = { state: query.get('state') ?? '', code: query.get('code') ?? '', realmId: '1' as never };
    await harness.home.oauthService.callback('quickbooks', parameters, browserSecret); // the state is not expired
    await replica.oauthService.disconnect(harness.key('acme'), 'billing');
    await harness.connect('acme', '1');
    expect(await harness.use('acme', replica)).toBe(200);
    expect(harness.refreshes()).toBe(0);
    await harness.expire('acme');
    expect(await harness.use('acme', replica)).toBe(200);
    const { access_token_expires_at, next_maintenance_at } = await harness.row('acme');
    expect(hoursUntil(access_token_expires_at)).toBeCloseTo(1, 0);
    expect(hoursUntil(next_maintenance_at)).toBeCloseTo(24, 0);
  });

  it.each(['ahead', 'behind'] as const)('maintains only what is due (%s)', async (name) => {
    await harness.connect('acme');
    const before = await harness.row('acme');
    await replicas[name]?.worker.tick();
    expect(await harness.row('acme')).toEqual(before);
    await harness.set('acme', { last_verified_at: ago(2 * DAYS), next_maintenance_at: ago(1 * HOURS) });
    await replicas[name]?.worker.tick();
    expect(harness.refreshes()).toBe(1);
    expect(await harness.row('acme')).toMatchObject({ is_active: 1, generation: 1 });
  });

  it.each(['ahead', 'behind'] as const)('deletes nothing too early (%s)', async (name) => {
    await harness.connect('acme');
    await harness.set('acme', { is_active: 0, deactivation_reason: 'rotation_lost', deactivated_at: new Date() });
    await harness.set('acme', { next_maintenance_at: ago(1 * HOURS), recovery_attempts: 4 });
    const [events, states] = [await harness.events('acme'), await harness.knex('oauth_states')];
    await replicas[name]?.worker.tick();
    expect((await harness.row('acme')).refresh_token).not.toBe('');
    expect([await harness.events('acme'), await harness.knex('oauth_states')]).toEqual([events, states]);
  });

  it('does not leave the other rows unmaintained for those that it may not delete yet', async () => {
    await harness.connect('lost');
    const lostAt = ago(40 * DAYS);
    await harness.set('lost', { is_active: 0, deactivation_reason: 'rotation_lost', deactivated_at: lostAt });
    await harness.set('lost', { next_maintenance_at: lostAt, recovery_attempts: 4 });
    await replicas.behind?.worker.tick();
    const row = await harness.row('lost');
    expect(row.refresh_token).not.toBe('');
    expect(hoursUntil(row.next_maintenance_at)).toBeCloseTo(1, 1);
  });

  it('assumes lifetimes that it converted to instants while the clocks differ', async () => {
    await harness.connect('acme');
    await harness.expire('acme');
    expect(await harness.use('acme', replicas.behind)).toBe(200);
    expect(await harness.row('acme')).toMatchObject({ is_refresh_expiry_assumed: 1 });
    await harness.expire('acme');
    expect(await harness.use('acme')).toBe(200);
    expect(await harness.row('acme')).toMatchObject({ is_refresh_expiry_assumed: 0 });
  });

  it.each([
    ['ahead', 1 * DAYS],
    ['behind', -1 * DAYS],
  ] as const)('sends a refresh token that has expired by one of two clocks only (%s)', async (name, leftMs) => {
    await harness.connect('acme');
    const expiry = new Date(Date.now() + leftMs);
    await harness.set('acme', { refresh_token_expires_at: expiry, access_token_expires_at: new Date(0) });
    expect(await harness.use('acme', replicas[name])).toBe(200);
    expect(harness.refreshes()).toBe(1);
  });

  async function start(aheadMs: number): Promise<Context> {
    const { database, simulator, logs } = harness;
    const wallMs = () => Date.now() + aheadMs;
    const own = { ...systemClock, wallMs, now: () => new Date(wallMs()) };
    const clock = new DatabaseClock(own, (differenceMs) => differences.push(differenceMs));
    const env = { VERIFY_IDLE_HOURS: '24' };
    return startReplica({ databaseUrl: database.url, simulator, logs, clock, env });
  }
});

function ago(milliseconds: number): Date {
  return new Date(Date.now() - milliseconds);
}

function hoursUntil(instant: Date | number | null): number {
  return (new Date(instant ?? 0).getTime() - Date.now()) / HOURS;
}
