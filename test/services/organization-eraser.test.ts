import { expect, it } from '@jest/globals';
import { recountConnections } from '../../src/datastores/connection-counts.ts';
import type { ActiveConnection } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, useHarness } from '../support/harness.ts';
import { connect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

/** Where nothing listens: events stay in the queue. */
const WEBHOOK = {
  EVENTS_WEBHOOK_URL: 'http://127.0.0.1:1/',
  EVENTS_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
};

describeEachDatabase('the erasure of an organization', (createDatabase, kind) => {
  const harness = useHarness(createDatabase, { isolated: true, env: WEBHOOK });
  const erase = (organization: string) => harness.home.eraser.erase(harness.key(organization).organizationId);

  it('revokes its grant and deletes every row and event, and nothing of any other organization', async () => {
    await recountConnections(harness.knex);
    await harness.connect('acme', '70');
    await harness.connect('acme', '71');
    await harness.connect('other', '72');
    expect(await erase('acme')).toEqual({ kind: 'erased', connections: 2, events: 3 });
    expect(harness.simulator.grantFor('71')).toMatchObject({ revoked: true });
    expect(harness.simulator.grantFor('72')).toMatchObject({ revoked: false });
    expect(await rowsOf('acme')).toEqual({});
    expect(Object.keys(await rowsOf('other')).sort()).toEqual(['connection_events', 'oauth_tokens', 'webhook_queues']);
    expect(await harness.pendingRevocations()).toEqual([]);
    expect(await counts()).toEqual({ active: 1, lost: 0 });
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false, realm_id: null });
    expect(await erase('acme')).toEqual({ kind: 'erased', connections: 0, events: 0 });
  });

  it('does not revoke a grant whose company another organization uses', async () => {
    await harness.connect('acme', '70');
    await harness.connect('other', '70');
    expect(await erase('acme')).toMatchObject({ kind: 'erased' });
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await harness.use('other')).toBe(200);
  });

  it('erases a lost connection', async () => {
    await recountConnections(harness.knex);
    await harness.connect('acme');
    await harness.lose('acme');
    expect(await erase('acme')).toMatchObject({ kind: 'erased', connections: 1 });
    expect(await rowsOf('acme')).toEqual({});
    expect(await counts()).toEqual({ active: 0, lost: 0 });
  });

  it('erases a grant that waits for its confirmation, and revokes it', async () => {
    await consent('acme', '74');
    expect(Object.keys(await rowsOf('acme'))).toEqual(['pending_grants']);
    expect(await erase('acme')).toMatchObject({ kind: 'erased' });
    expect(harness.simulator.grantFor('74')).toMatchObject({ revoked: true });
    expect(await rowsOf('acme')).toEqual({});
  });

  it.each([
    ['whose company was proven', '77', 200],
    ['whose company could not be proven', '78', 503],
  ])(
    'deletes nothing while a grant %s, that waits for its confirmation, cannot be revoked',
    async (_, realmId, companyStatus) => {
      const { simulator } = harness;
      if (companyStatus !== 200) simulator.fail({ on: 'companyinfo', kind: 'status', status: companyStatus });
      await consent('acme', realmId);
      simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
      for (let time = 0; time < 2; time += 1) expect(await erase('acme')).toEqual({ kind: 'revocation_pending' });
      expect(Object.keys(await rowsOf('acme'))).toContain('connection_events');
      simulator.clearFaults();
      expect(await erase('acme')).toMatchObject({ kind: 'erased' });
      expect(simulator.grantFor(realmId)).toMatchObject({ revoked: true });
      expect([await rowsOf('acme'), await harness.pendingRevocations()]).toEqual([{}, []]);
    },
  );

  it('deletes nothing while a grant cannot be revoked, and everything once it is', async () => {
    await harness.connect('acme', '75');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
    expect(await erase('acme')).toEqual({ kind: 'revocation_pending' });
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false });
    expect(await harness.rows('acme')).toHaveLength(1);
    expect(await harness.pendingRevocations()).toHaveLength(1);
    harness.simulator.clearFaults();
    harness.clock.advance(HOURS);
    expect(await erase('acme')).toMatchObject({ kind: 'erased', connections: 1 });
    expect(harness.simulator.grantFor('75')).toMatchObject({ revoked: true });
    expect([await rowsOf('acme'), await harness.pendingRevocations()]).toEqual([{}, []]);
  });

  it.each(['a connection', 'a pending revocation', 'a grant that waits for its confirmation'])(
    'changes nothing if it has %s of an unknown system, unless it may leave grants unrevoked',
    async (what) => {
      if (what === 'a grant that waits for its confirmation') await consent('acme', '79');
      else await harness.connect('acme', '79');
      if (what === 'a pending revocation') {
        harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
        await harness.disconnect('acme');
        await harness.home.backgroundTasks.drain();
        harness.simulator.clearFaults();
      }
      for (const table of ['oauth_tokens', 'pending_grants', 'pending_revocations', 'connection_events'] as const) {
        await harness.knex(table).where('realm_id', '79').update({ accounting_system: 'xero' });
      }
      await harness.connect('acme', '80');
      const before = await rowsOf('acme');
      harness.simulator.resetCalls();
      expect(await erase('acme')).toEqual({ kind: 'unknown_system', systems: ['xero'] });
      expect([await rowsOf('acme'), harness.simulator.calls]).toEqual([before, []]);
      const { eraser } = harness.home;
      const { organizationId } = harness.key('acme');
      expect(await eraser.erase(organizationId, { leavesUnrevoked: true })).toMatchObject({ kind: 'erased' });
      expect([await rowsOf('acme'), await harness.pendingRevocations()]).toEqual([{}, []]);
      expect([harness.simulator.grantFor('79')?.revoked, harness.simulator.grantFor('80')?.revoked]).toEqual([
        false,
        true,
      ]);
    },
  );

  it('leaves no grant that another process refreshes meanwhile', async () => {
    const { tokenManager, backgroundTasks } = await harness.replica();
    await harness.connect('acme', '81');
    const connection = (await harness.home.tokens.findCurrent(harness.key('acme'))) as ActiveConnection;
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const refreshing = tokenManager.refresh(connection);
    await until(() => harness.refreshes() === 1);
    expect(await erase('acme')).toMatchObject({ kind: 'erased' });
    release();
    expect(await refreshing).toEqual({ outcome: 'ended', connection: undefined });
    await backgroundTasks.drain();
    expect(harness.simulator.callsTo('revoke').at(-1)?.token).toBe(harness.simulator.grantFor('81')?.refreshToken);
    expect([await rowsOf('acme'), await harness.pendingRevocations()]).toEqual([{}, []]);
  });

  it('leaves an organization that can connect again', async () => {
    await harness.connect('acme', '76');
    await erase('acme');
    await connect(harness.service, harness.simulator, 'acme', { realmId: '76' });
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true });
    expect(await harness.eventTypes('acme')).toEqual(['connected']);
  });

  /** Consents to a connection that must be confirmed. */
  async function consent(organization: string, realmId: string): Promise<void> {
    const { oauthService } = await harness.replica({ env: { CONNECT_CONFIRMATION: 'true' } });
    const { authorizationUrl, browserSecret } = oauthService.connect(harness.key(organization), 'billing');
    const { searchParams } = new URL(await harness.simulator.authorize(authorizationUrl, { realmId }));
    const parameters = await oauthService.parseCallback('quickbooks', Object.fromEntries(searchParams));
    await oauthService.callback('quickbooks', parameters, browserSecret);
  }

  /** How many rows of the organization each table has, of all tables that have any. */
  async function rowsOf(organization: string): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const table of await tablesOfOrganizations()) {
      const { organizationId } = harness.key(organization);
      const rows = await harness.knex(table as 'oauth_tokens').where('organization_id', organizationId);
      if (rows.length > 0) found[table] = rows.length;
    }
    return found;
  }

  /** Every table with a column of this name, those of later migrations too. */
  async function tablesOfOrganizations(): Promise<string[]> {
    const rows =
      kind === 'SQLite'
        ? await harness.knex.raw(
            "SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'organization_id' WHERE m.type = 'table'",
          )
        : (
            await harness.knex.raw(
              "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name = 'organization_id'",
            )
          )[0];
    const tables = rows.map(({ name }: { name: string }) => name);
    expect(tables.length).toBeGreaterThanOrEqual(4);
    return tables;
  }

  /** The stored counts. */
  async function counts(): Promise<object> {
    return (await recountConnections(harness.knex)).before;
  }
});
