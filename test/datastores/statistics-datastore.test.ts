import { expect, it } from '@jest/globals';
import { StatisticsDatastore } from '../../src/datastores/statistics-datastore.ts';
import { hasCode } from '../../src/errors.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('StatisticsDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true });
  const read = () => new StatisticsDatastore(harness.home.session).read();

  it('returns zeros and no instants for an empty database', async () => {
    expect(await read()).toEqual({
      active: 0,
      lost: 0,
      refreshFailing: 0,
      pendingRevocations: 0,
      pendingWebhooks: 0,
      earliestRefreshTokenExpiry: undefined,
      earliestMaintenance: undefined,
    });
  });

  it('follows a connection from connect to disconnect, through loss, recovery and replacement', async () => {
    const states: [active: number, lost: number][] = [];
    const record = async () => {
      const { active, lost } = await read();
      states.push([active, lost]);
    };
    await harness.connect('acme');
    await record();
    await harness.lose('acme');
    await record();
    await harness.runWorker(11 * MINUTES, 1 * MINUTES);
    await record();
    await harness.lose('acme');
    await harness.connect('acme'); // replaces a lost one
    await record();
    await harness.connect('acme'); // replaces an active one
    await record();
    await harness.disconnect('acme');
    await record();
    expect(states).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
  });

  it('counts correctly, however many connections change concurrently', async () => {
    const { tokens } = harness.home;
    const organizations = Array.from({ length: 6 }, (_, index) => `busy-${index}`);
    const connect = (organization: string) =>
      harness.connect(organization).catch((error) => {
        if (!hasCode(error, 'invalid_state')) throw error; // a disconnect ends what is being connected
      });
    await Promise.all(
      [...organizations, ...organizations].map(async (organization, index) => {
        await connect(organization);
        const connection = await tokens.findCurrent(harness.key(organization));
        const loss = { reason: 'rotation_lost', intuitTid: undefined, nextMaintenanceAt: harness.clock.now() } as const;
        if (index % 3 > 0 && connection?.state === 'active') await tokens.markLost(connection, loss);
        if (index % 4 === 0) await harness.disconnect(organization);
        else await connect(organization);
      }),
    );
    const count = async (is_active: 0 | 1) =>
      (await harness.knex('oauth_tokens').where({ current_key: 1, is_active })).length;
    const { active, lost } = await read();
    expect({ active, lost }).toEqual({ active: await count(1), lost: await count(0) });
    expect(active + lost).toBeGreaterThan(0);
  });

  it('returns the earliest expiry and maintenance, and what fails or is pending', async () => {
    const now = harness.clock.now();
    const soon = new Date(now.getTime() + 1 * HOURS);
    const overdue = new Date(now.getTime() - 1 * HOURS);
    const { pendingRevocations } = await read();
    for (const organization of ['soon', 'late', 'gone']) await harness.connect(organization);
    await harness.set('gone', { refresh_token_expires_at: overdue }); // not counted once it is disconnected
    harness.simulator.fail({ on: 'revoke', kind: 'status' });
    await harness.disconnect('gone'); // leaves its grant to be revoked
    await harness.set('soon', { refresh_token_expires_at: soon, is_refresh_failing: 1 });
    await harness.set('late', { next_maintenance_at: overdue });
    await harness.knex('webhook_queues').insert([
      { organization_id: 'pending' as OrganizationId, delivered_position: 0, version: 1, next_attempt_at: now },
      { organization_id: 'empty' as OrganizationId, delivered_position: 0, version: 1, next_attempt_at: null },
    ]);
    expect(await read()).toMatchObject({
      refreshFailing: 1,
      earliestRefreshTokenExpiry: soon,
      earliestMaintenance: overdue,
      pendingWebhooks: 1,
      pendingRevocations: pendingRevocations + 1,
    });
  });
});
