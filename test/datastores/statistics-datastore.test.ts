import { expect, it } from '@jest/globals';
import { PendingRevocationDatastore } from '../../src/datastores/pending-revocation-datastore.ts';
import { OverviewDatastore } from '../../src/datastores/statistics-datastore.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOUR, useTokenBench } from '../support/token-bench.ts';

describeEachDatabase('the overview', (createDatabase) => {
  const bench = useTokenBench(createDatabase);
  const read = () => new OverviewDatastore(bench.session).read();

  it('has nothing to tell of an empty database', async () => {
    expect(await read()).toEqual({
      active: 0,
      lost: 0,
      refreshFailing: 0,
      revocationsWaiting: 0,
      webhooksWaiting: 0,
      soonestExpiry: undefined,
      mostOverdue: undefined,
    });
  });

  it('follows a connection from connect to disconnect, by way of its loss, recovery and replacement', async () => {
    const states: [active: number, lost: number][] = [];
    const note = async () => {
      const { active, lost } = await read();
      states.push([active, lost]);
    };
    await bench.connect('acme');
    await note();
    await bench.tokens.deactivate(await current('acme'), 'rotation_lost');
    await note();
    await bench.replica().recover(await current('acme'));
    await note();
    await bench.tokens.deactivate(await current('acme'), 'rotation_lost');
    await bench.connect('acme'); // replaces a lost one
    await note();
    await bench.connect('acme'); // replaces an active one
    await note();
    await bench.tokens.disconnect('acme', 'quickbooks', 'somebody');
    await note();
    expect(states).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
      [1, 0],
      [1, 0],
      [0, 0],
    ]);
  });

  it('counts what there is, however many change at once', async () => {
    const organizations = Array.from({ length: 6 }, (_, index) => `busy-${index}`);
    const lives = organizations.flatMap((organization) => [organization, organization]);
    await Promise.all(
      lives.map(async (organization, index) => {
        await bench.connect(organization);
        const connection = await bench.tokens.findCurrent(organization, 'quickbooks');
        if (index % 3 > 0 && connection?.isActive) await bench.tokens.deactivate(connection, 'authorization_revoked');
        if (index % 4 === 0) await bench.tokens.disconnect(organization, 'quickbooks', 'somebody');
        else await bench.connect(organization);
      }),
    );
    const count = async (is_active: 0 | 1) =>
      (await bench.knex('oauth_tokens').where({ current_key: 1, is_active })).length;
    const { active, lost } = await read();
    expect({ active, lost }).toEqual({ active: await count(1), lost: await count(0) });
    expect(active + lost).toBeGreaterThan(0);
  });

  it('tells the soonest end, the most overdue care, and what fails or waits', async () => {
    const soonest = new Date(bench.now.getTime() + HOUR);
    const overdue = new Date(bench.now.getTime() - HOUR);
    await bench.connect('soon');
    await bench.connect('late');
    await bench.connect('gone');
    await bench.set('gone', { refresh_token_expires_at: overdue }); // inactive in a moment: it does not count
    await bench.tokens.disconnect('gone', 'quickbooks', 'somebody'); // leaves its grant to be revoked
    await bench.set('soon', { refresh_token_expires_at: soonest, is_refresh_failing: 1 });
    await bench.set('late', { next_care_at: overdue });
    await bench.knex('webhook_queues').insert([
      { organization_id: 'waits', delivered_position: 0, version: 1, failures: 0, next_attempt_at: bench.now },
      { organization_id: 'empty', delivered_position: 0, version: 1, failures: 0, next_attempt_at: null },
    ]);
    const before = (await read()).revocationsWaiting;
    await new PendingRevocationDatastore(bench.session, () => bench.now).record(await current('late'), bench.now);
    expect(await read()).toMatchObject({
      refreshFailing: 1,
      soonestExpiry: soonest,
      mostOverdue: overdue,
      webhooksWaiting: 1,
      revocationsWaiting: before + 1,
    });
    expect(before).toBeGreaterThan(0);
  });

  async function current(organizationId: string) {
    const connection = await bench.tokens.findCurrent(organizationId, 'quickbooks');
    if (!connection) throw new Error(`${organizationId} has no connection`);
    return connection;
  }
});
