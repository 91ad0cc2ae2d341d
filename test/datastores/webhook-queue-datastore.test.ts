import { beforeEach, expect, it } from '@jest/globals';
import { type WebhookQueue, WebhookQueueDatastore } from '../../src/datastores/webhook-queue-datastore.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('WebhookQueueDatastore', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, isolated: true });
  const queues = () => new WebhookQueueDatastore(harness.home.session);
  const inMinutes = (minutes: number) => new Date(harness.clock.now().getTime() + minutes * MINUTES);

  beforeEach(async () => {
    const row = { delivered_position: 7, version: 3 };
    await harness.knex('webhook_queues').insert([
      { ...row, organization_id: 'due' as OrganizationId, next_attempt_at: inMinutes(0) },
      { ...row, organization_id: 'later' as OrganizationId, next_attempt_at: inMinutes(1) },
      { ...row, organization_id: 'empty' as OrganizationId, next_attempt_at: null },
    ]);
  });

  it('returns the queues that are due, the earliest first', async () => {
    const due = { deliveredPosition: 7, version: 3, attempts: 0 };
    const first = { ...due, organizationId: 'due', nextAttemptAt: inMinutes(0) };
    const second = { ...due, organizationId: 'later', nextAttemptAt: inMinutes(1) };
    expect(await queues().listDue(inMinutes(0), 10)).toEqual([first]);
    expect(await queues().listDue(inMinutes(1), 10)).toEqual([first, second]);
    expect(await queues().listDue(inMinutes(1), 1)).toEqual([first]);
  });

  it('lets one of many workers claim a queue', async () => {
    const due = await findDue();
    const claims = Array.from({ length: 8 }, (_, index) => queues().claim(due, inMinutes(index + 1)));
    expect((await Promise.all(claims)).filter((claim) => claim !== undefined)).toHaveLength(1);
    expect(await queues().listDue(inMinutes(0), 10)).toEqual([]);
  });

  it('accepts nothing from a worker that has lost its claim', async () => {
    const due = await findDue();
    const lost = await claim(due, 1);
    const current = await claim(lost, 2); // once the first claim had ended
    expect(await queues().advance(lost, 8, inMinutes(3))).toBeUndefined();
    await queues().postpone(lost, inMinutes(3));
    expect(await queues().finish(lost)).toBe(false);
    expect(await queues().reread(lost)).toBeUndefined();
    expect(await queues().reread(current)).toEqual(current);
    expect(await queues().advance(current, 8, inMinutes(4))).toMatchObject({ deliveredPosition: 8 });
  });

  it('counts the attempts until a delivery succeeds', async () => {
    await queues().postpone(await claim(await findDue(), 1), inMinutes(0));
    const postponed = await findDue();
    expect(postponed).toMatchObject({ attempts: 1, deliveredPosition: 7 });
    const claimed = await claim(postponed, 1);
    const advanced = { ...claimed, deliveredPosition: 8, attempts: 0, nextAttemptAt: inMinutes(2) };
    expect(await queues().advance(claimed, 8, inMinutes(2))).toEqual(advanced);
    expect(await queues().reread(advanced)).toEqual(advanced);
  });

  it('does not finish a queue in which an event was enqueued meanwhile', async () => {
    const claimed = await claim(await findDue(), 1);
    await enqueue('due');
    expect(await queues().finish(claimed)).toBe(false);
    const reread = await queues().reread(claimed);
    expect(reread).toEqual({ ...claimed, version: 4 });
    expect(await queues().finish(reread as WebhookQueue)).toBe(true);
    expect(await queues().reread(claimed)).toBeUndefined();
    expect(await harness.knex('webhook_queues').where('organization_id', 'due').first()).toMatchObject({
      next_attempt_at: null,
    });
  });

  it('makes an empty queue due when an event is enqueued, and begins a new queue after the events before it', async () => {
    await harness.home.events.record({ ...harness.key('new'), type: 'connected', actor: 'billing' });
    const [before] = await harness.events('new');
    await enqueue('empty');
    await enqueue('new');
    const due = await queues().listDue(inMinutes(0), 10);
    expect(due.find(({ organizationId }) => organizationId === 'empty')).toMatchObject({
      deliveredPosition: 7,
      version: 4,
    });
    expect(due.find(({ organizationId }) => organizationId === 'new')).toMatchObject({
      deliveredPosition: Number(before?.position),
      version: 1,
    });
  });

  it('does not move a queue that is claimed or postponed when an event is enqueued', async () => {
    await enqueue('later');
    const [later] = await queues()
      .listDue(inMinutes(1), 10)
      .then((due) => due.slice(1));
    expect(later).toMatchObject({ organizationId: 'later', nextAttemptAt: inMinutes(1), version: 4 });
  });

  async function findDue(): Promise<WebhookQueue> {
    const [due] = await queues().listDue(inMinutes(0), 1);
    if (!due) throw new Error('no queue is due');
    return due;
  }

  async function claim(queue: WebhookQueue, minutes: number): Promise<WebhookQueue> {
    const claimed = await queues().claim(queue, inMinutes(minutes));
    if (!claimed) throw new Error('the queue is claimed already');
    return claimed;
  }

  async function enqueue(organizationId: string): Promise<void> {
    await harness.home.session.transaction((trx) =>
      queues().enqueue(trx, organizationId as OrganizationId, harness.clock.now()),
    );
  }
});
