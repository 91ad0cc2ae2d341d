import { expect, it } from '@jest/globals';
import { MaintenanceDatastore } from '../../src/datastores/maintenance-datastore.ts';
import { StatisticsDatastore } from '../../src/datastores/statistics-datastore.ts';
import type { ActiveConnection, Connection, LostConnection } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('MaintenanceDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });
  const connections = () => {
    const { session, events } = harness.home;
    return new MaintenanceDatastore({ session, clock: harness.clock, events });
  };
  const inMinutes = (minutes: number) => new Date(harness.clock.now().getTime() + minutes * MINUTES);

  it('lists the connections that are due, the earliest first', async () => {
    for (const [organization, minutes] of [
      ['second', -1],
      ['first', -2],
      ['now', 0],
      ['later', 1],
    ] as const) {
      await connectDue(organization, minutes);
    }
    await connectDue('never', 0);
    await harness.set('never', { next_maintenance_at: null });
    expect(await listDue()).toEqual(['first', 'second', 'now']);
    expect(await listDue(['quickbooks'], 1)).toEqual(['first']);
  });

  it('lists lost connections too, but none that has ended', async () => {
    await connectDue('lost');
    await harness.deactivate('lost');
    await connectDue('ended');
    await harness.disconnect('ended');
    expect(await listDue()).toEqual(['lost']);
  });

  it('lists the connections of the named accounting systems only', async () => {
    await connectDue('acme');
    await connectDue('globex');
    await harness.set('globex', { accounting_system: 'ledgerly' } as object);
    expect(await listDue(['quickbooks'])).toEqual(['acme']);
    expect(await listDue(['ledgerly'])).toEqual(['globex']);
    expect(await listDue(['quickbooks', 'ledgerly'])).toHaveLength(2);
    expect(await listDue([])).toEqual([]);
  });

  it('lets one of many workers claim a connection until its claim ends', async () => {
    const due = await connectDue('acme');
    const claims = Array.from({ length: 8 }, (_, index) => connections().claim(due, inMinutes(10 + index)));
    const [claimed, ...others] = (await Promise.all(claims)).filter((claim) => claim !== undefined);
    expect(claimed).toMatchObject({ tokenId: due.tokenId, state: 'active' });
    expect(others).toEqual([]);
    expect(await listDue()).toEqual([]);
    harness.clock.advance(20 * MINUTES);
    expect(await listDue()).toEqual(['acme']);
  });

  it('schedules a claimed connection, unless a change scheduled it meanwhile', async () => {
    const claimed = await claim(await connectDue('acme'));
    await connections().schedule(claimed, inMinutes(60));
    await connections().schedule(claimed, inMinutes(90)); // no longer holds the claim
    expect(await find('acme')).toMatchObject({ maintenance: { nextAt: inMinutes(60) } });
  });

  it('saves the company’s name as proof of the connection, and keeps the known one if none is returned', async () => {
    await connectDue('acme');
    await harness.set('acme', { last_verified_at: null });
    const claimed = await claim(await find('acme'));
    await connections().saveCompany(claimed, 'Renamed 😀');
    expect(await find('acme')).toMatchObject({ companyName: 'Renamed 😀', lastVerifiedAt: harness.clock.now() });
    harness.clock.advance(1 * HOURS);
    await connections().saveCompany(claimed, undefined);
    expect(await find('acme')).toMatchObject({ companyName: 'Renamed 😀', lastVerifiedAt: harness.clock.now() });
  });

  it('ends a connection that was never proven, once, with its event and without its ciphertext', async () => {
    const connection = await connectUnproven('acme');
    const event = { ...harness.key('acme'), type: 'company_mismatch', actor: 'service', realmId: connection.realmId };
    const before = await activeCount();
    expect(await connections().endUnproven(connection, '1-tid')).toMatchObject({ ...event, intuitTid: '1-tid' });
    expect(await connections().endUnproven(connection, '1-tid')).toBeUndefined();
    expect(await harness.rows('acme')).toMatchObject([
      {
        is_active: 0,
        deactivation_reason: 'disconnected',
        access_token: '',
        refresh_token: '',
        token_digest: null,
        next_maintenance_at: null,
        generation: 1,
      },
    ]);
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'company_mismatch']);
    expect(await activeCount()).toBe(before - 1);
  });

  it('does not end a connection that was proven or changed meanwhile', async () => {
    const proven = await connectUnproven('proven');
    await connections().saveCompany(proven, 'Acme');
    expect(await connections().endUnproven(proven, undefined)).toBeUndefined();
    const replaced = await connectUnproven('replaced');
    await harness.connect('replaced');
    expect(await connections().endUnproven(replaced, undefined)).toBeUndefined();
    expect(await harness.activeRows('proven')).toHaveLength(1);
    expect(await harness.activeRows('replaced')).toHaveLength(1);
  });

  it('records each notice of the authorization’s end once', async () => {
    const connection = await connectDue('acme');
    const notices = [1, 2, 3].map(() => connections().recordExpiryNotice(connection, 'within_30_days'));
    const event = { ...harness.key('acme'), type: 'expiring', actor: 'service' };
    expect((await Promise.all(notices)).filter((notice) => notice !== undefined)).toMatchObject([
      { ...event, reason: 'within_30_days' },
    ]);
    expect(await find('acme')).toMatchObject({ maintenance: { expiryNotifiedAt: harness.clock.now() } });

    harness.clock.advance(23 * DAYS);
    const notified = (await find('acme')) as ActiveConnection;
    expect(await connections().recordExpiryNotice(connection, 'within_7_days')).toBeUndefined(); // was read before
    expect(await connections().recordExpiryNotice(notified, 'within_7_days')).toMatchObject(event);
    const reasons = (await harness.events('acme')).map(({ type, reason }) => [type, reason]);
    expect(reasons.slice(1)).toEqual([
      ['expiring', 'within_30_days'],
      ['expiring', 'within_7_days'],
    ]);
  });

  it('records no notice for a connection that was replaced meanwhile', async () => {
    const connection = await connectDue('acme');
    await harness.connect('acme');
    expect(await connections().recordExpiryNotice(connection, 'within_30_days')).toBeUndefined();
  });

  it('records an attempt to recover a lost connection while the claim holds', async () => {
    await connectDue('acme');
    await harness.deactivate('acme');
    const claimed = await claim((await find('acme')) as LostConnection);
    await connections().recordRecoveryAttempt(claimed, { recoveryAttempts: 1, nextMaintenanceAt: inMinutes(60) });
    await connections().recordRecoveryAttempt(claimed, { recoveryAttempts: 2, nextMaintenanceAt: inMinutes(90) });
    expect(await find('acme')).toMatchObject({ maintenance: { recoveryAttempts: 1, nextAt: inMinutes(60) } });
  });

  it('deletes a lost connection’s ciphertext, and leaves it lost', async () => {
    await connectDue('acme');
    await harness.deactivate('acme');
    const claimed = await claim(await find('acme'));
    await connections().purgeTokens(claimed);
    expect(await find('acme')).toMatchObject({
      state: 'lost',
      reason: 'authorization_revoked',
      tokens: undefined,
      generation: 1,
      maintenance: { nextAt: undefined },
    });
  });

  async function listDue(systems = ['quickbooks'], limit = 10): Promise<string[]> {
    return (await connections().listDue(systems, limit)).map(({ organizationId }) => organizationId);
  }

  async function connectDue(organizationId: string, minutes = 0): Promise<ActiveConnection> {
    await harness.connect(organizationId);
    await harness.set(organizationId, { next_maintenance_at: inMinutes(minutes) });
    return (await find(organizationId)) as ActiveConnection;
  }

  async function connectUnproven(organizationId: string): Promise<ActiveConnection> {
    await connectDue(organizationId);
    await harness.set(organizationId, { last_verified_at: null, company_name: null });
    return (await find(organizationId)) as ActiveConnection;
  }

  async function claim<T extends Connection>(connection: T): Promise<T> {
    const claimed = await connections().claim(connection, inMinutes(10));
    if (!claimed) throw new Error('the connection is claimed already');
    return claimed;
  }

  async function find(organizationId: string): Promise<Connection> {
    const connection = await harness.home.tokens.findCurrent(harness.key(organizationId));
    if (!connection) throw new Error(`${organizationId} has no connection`);
    return connection;
  }

  async function activeCount(): Promise<number> {
    return (await new StatisticsDatastore(harness.home.session).read()).active;
  }
});
