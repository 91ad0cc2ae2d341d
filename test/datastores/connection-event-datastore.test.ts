import { expect, it } from '@jest/globals';
import { ConnectionEventDatastore } from '../../src/datastores/connection-event-datastore.ts';
import { WebhookQueueDatastore } from '../../src/datastores/webhook-queue-datastore.ts';
import type { OrganizationId, RealmId } from '../../src/models/connection.ts';
import type { ConnectionEvent } from '../../src/models/connection-event.ts';
import { describeEachDatabase, describeOnServer } from '../support/databases.ts';
import { DAYS, type Harness, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const EVENT: ConnectionEvent = {
  organizationId: 'acme' as OrganizationId,
  system: 'quickbooks',
  type: 'disconnected',
  actor: 'bookkeeper',
};

describeEachDatabase('ConnectionEventDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });

  it('returns an event as it was recorded', async () => {
    const facts = { type: 'lost', reason: 'rotation_lost', realmId: '1' as RealmId, intuitTid: '1-tid' } as const;
    await harness.home.events.record({ ...EVENT, ...facts });
    const [recorded, ...others] = await harness.home.events.listNewest(EVENT, 10);
    expect(recorded).toEqual({
      ...EVENT,
      ...facts,
      eventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      occurredAt: harness.clock.now(),
      position: expect.any(Number),
    });
    expect(others).toEqual([]);
  });

  it('returns an event without the facts that it does not have', async () => {
    await harness.home.events.record(EVENT);
    expect(await harness.home.events.listNewest(EVENT, 10)).toMatchObject([
      { reason: undefined, realmId: undefined, intuitTid: undefined },
    ]);
  });

  it('lists the events of one connection, newest first, page by page', async () => {
    const types = ['connected', 'lost', 'recovered'] as const;
    for (const type of types) {
      await harness.home.events.record({ ...EVENT, type });
      await harness.home.events.record({ ...EVENT, type, system: 'ledgerly' });
      await harness.home.events.record({ ...EVENT, type, organizationId: 'ACME' as OrganizationId });
    }
    const page = await harness.home.events.listNewest(EVENT, 2);
    expect(page.map(({ type }) => type)).toEqual(['recovered', 'lost']);
    const rest = await harness.home.events.listNewest(EVENT, 2, page.at(-1)?.position);
    expect(rest.map(({ type, system }) => [type, system])).toEqual([['connected', 'quickbooks']]);
    expect(await harness.home.events.listNewest(EVENT, 2, rest[0]?.position)).toEqual([]);
  });

  it('returns an organization’s events one after another, whatever their accounting system', async () => {
    await harness.home.events.record(EVENT);
    await harness.home.events.record({ ...EVENT, organizationId: 'other' as OrganizationId });
    await harness.home.events.record({ ...EVENT, system: 'ledgerly' });
    const first = await harness.home.events.findNext(EVENT.organizationId, 0);
    const second = await harness.home.events.findNext(EVENT.organizationId, first?.position ?? 0);
    expect([first?.system, second?.system]).toEqual(['quickbooks', 'ledgerly']);
    expect(await harness.home.events.findNext(EVENT.organizationId, second?.position ?? 0)).toBeUndefined();
  });

  it('lists the events from before an instant, oldest first, and deletes them', async () => {
    for (const type of ['connected', 'lost', 'recovered'] as const) {
      await harness.home.events.record({ ...EVENT, type });
      harness.clock.advance(1 * DAYS);
    }
    const yesterday = new Date(harness.clock.now().getTime() - 1 * DAYS);
    const positions = (await harness.events('acme')).map(({ position }) => Number(position));
    expect(await harness.home.events.listBefore(yesterday, 10)).toEqual(positions.slice(0, 2));
    expect(await harness.home.events.listBefore(yesterday, 1)).toEqual(positions.slice(0, 1));
    await harness.home.events.delete(positions.slice(0, 2));
    expect(await harness.eventTypes('acme')).toEqual(['recovered']);
  });

  it('records and enqueues an event when its transaction is committed, and not if it is rolled back', async () => {
    const events = withOutbox(harness);
    await harness.home.session.transaction((trx) => events.append(trx, EVENT));
    const failing = harness.home.session.transaction(async (trx) => {
      await events.append(trx, { ...EVENT, organizationId: 'undone' as OrganizationId });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect([await harness.eventTypes('acme'), await harness.eventTypes('undone')]).toEqual([['disconnected'], []]);
    expect(await harness.knex('webhook_queues').pluck('organization_id')).toEqual(['acme']);
  });

  it('enqueues nothing if events are not posted', async () => {
    await harness.home.events.record(EVENT);
    expect(await harness.knex('webhook_queues')).toEqual([]);
  });

  it('does not enqueue the events from before events were posted', async () => {
    await harness.home.events.record(EVENT);
    await withOutbox(harness).record({ ...EVENT, type: 'connected' });
    const [queue] = await harness.knex('webhook_queues');
    const next = await harness.home.events.findNext(EVENT.organizationId, Number(queue?.delivered_position));
    expect(next?.type).toBe('connected');
  });
});

describeOnServer('ConnectionEventDatastore with an outbox', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });

  it('commits concurrent events of one organization in the order of their positions', async () => {
    const events = withOutbox(harness);
    let second: Promise<unknown> | undefined;
    await harness.home.session.transaction(async (trx) => {
      await events.append(trx, EVENT);
      second = events.record({ ...EVENT, type: 'connected' });
      await until(isWaiting); // or a webhook's reader could pass over the first event
      expect(await uncommittedTypes()).toEqual(['disconnected']);
    });
    await second;
    expect(await harness.eventTypes('acme')).toEqual(['disconnected', 'connected']);
  });

  /** True while a replica's statement on the outbox waits for another transaction. */
  async function isWaiting(): Promise<boolean> {
    const [statements] = await harness.knex.raw(
      "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'insert into `webhook_queues`%'",
    );
    return statements.length > 0;
  }

  async function uncommittedTypes(): Promise<string[]> {
    return harness.knex.transaction((trx) => trx('connection_events').pluck('type'), {
      isolationLevel: 'read uncommitted',
    });
  }
});

/** As the service has it once a webhook is configured. */
function withOutbox({ home: { session }, clock }: Harness): ConnectionEventDatastore {
  return new ConnectionEventDatastore({ session, clock, outbox: new WebhookQueueDatastore(session) });
}
