import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import { openSession } from '../../src/db/session.ts';
import type { ConnectionEvent } from '../../src/models/connection-event.ts';
import { describeEachDatabase, describeOnServer } from '../support/databases.ts';
import { useWorkerBench } from '../support/worker-bench.ts';

const EVENT: ConnectionEvent = {
  organizationId: 'acme',
  system: 'quickbooks',
  type: 'disconnected',
  actor: 'bookkeeper',
};

const nobody = () => undefined;

describeEachDatabase('recorded events', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('are told once they are committed, never where the change was rolled back', async () => {
    const told: string[] = [];
    const session = openSession(bench.home.config.database);
    const events = new ConnectionEventDatastore(
      session,
      () => bench.now,
      ({ organizationId }) => void told.push(organizationId),
      true,
    );
    await session.transaction(async (trx) => {
      await events.append(trx, EVENT);
      await delay(20);
      expect(told).toEqual([]);
    });
    const failing = session.transaction(async (trx) => {
      await events.append(trx, { ...EVENT, organizationId: 'undone' });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await delay(20);
    expect([told, await bench.story('acme'), await bench.story('undone')]).toEqual([['acme'], ['disconnected'], []]);
    expect(await bench.knex('webhook_queues').pluck('organization_id')).toEqual(['acme']);
    await session.close();
  });

  it('from before webhooks were on are not delivered afterwards', async () => {
    const session = openSession(bench.home.config.database);
    const silent = new ConnectionEventDatastore(session, () => bench.now, nobody, false);
    await silent.record(EVENT);
    await new ConnectionEventDatastore(session, () => bench.now, nobody, true).record({ ...EVENT, type: 'connected' });
    const [queue] = await bench.knex('webhook_queues');
    const waiting = await silent.listAfter('acme', Number(queue?.delivered_position), 10);
    expect(waiting.map(({ type }) => type)).toEqual(['connected']);
    await session.close();
  });
});

describeOnServer('two events of one organization at the same moment', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('are committed in the order of their positions, or a webhook could be passed over', async () => {
    const session = openSession(bench.home.config.database);
    const events = new ConnectionEventDatastore(session, () => bench.now, nobody, true);
    let second: Promise<void> | undefined;
    await session.transaction(async (trx) => {
      await events.append(trx, EVENT);
      second = events.record({ ...EVENT, type: 'connected' });
      await delay(200);
      const uncommitted = await bench.knex.transaction((look) => look('connection_events').pluck('type'), {
        isolationLevel: 'read uncommitted',
      });
      expect(uncommitted).toEqual(['disconnected']);
    });
    await second;
    expect(await bench.story('acme')).toEqual(['disconnected', 'connected']);
    await session.close();
  });
});
