import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type WebhookQueue, WebhookQueueDatastore } from '../../src/datastores/webhook-queue-datastore.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { MINUTES, useWorkerBench } from '../support/worker-bench.ts';

describeEachDatabase('webhook_queues', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);
  let session: Session;
  let queues: WebhookQueueDatastore;
  beforeAll(() => {
    session = openSession(bench.home.config.database);
    queues = new WebhookQueueDatastore(session);
  });
  beforeEach(async () => {
    const queue = { delivered_position: 7, version: 3, next_attempt_at: bench.now };
    await bench.knex('webhook_queues').insert([
      { ...queue, organization_id: 'due' },
      { ...queue, organization_id: 'later', next_attempt_at: inMinutes(1) },
      { ...queue, organization_id: 'empty', next_attempt_at: null },
    ]);
  });
  afterAll(() => session.close());

  it('answers what is due alone', async () => {
    expect(await queues.listDue(bench.now, 10)).toEqual([
      { organizationId: 'due', deliveredPosition: 7, version: 3, failures: 0, nextAttemptAt: bench.now },
    ]);
    expect(await queues.find('empty')).toBeUndefined();
  });

  it('lets one of many have a queue', async () => {
    const due = await findDue();
    const claims = await Promise.all(Array.from({ length: 8 }, (_, index) => queues.claim(due, inMinutes(index + 1))));
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
  });

  it('takes nothing from who lost his claim', async () => {
    const slow = await queues.claim(await findDue(), inMinutes(1));
    const other = await queues.claim(await findDue(), inMinutes(2)); // its claim ran out
    expect(await queues.advance(slow as WebhookQueue, 8, inMinutes(3))).toBeUndefined();
    expect(await queues.postpone(slow as WebhookQueue, inMinutes(3))).toBe(false);
    expect(await queues.finish(slow as WebhookQueue)).toBe(false);
    expect(await queues.reread(slow as WebhookQueue)).toBeUndefined();
    expect(await queues.advance(other as WebhookQueue, 8, inMinutes(4))).toMatchObject({ deliveredPosition: 8 });
  });

  it('is not finished where an event came in meanwhile', async () => {
    const claimed = (await queues.claim(await findDue(), inMinutes(1))) as WebhookQueue;
    await bench.knex('webhook_queues').where({ organization_id: 'due' }).update({ version: 4 });
    expect(await queues.finish(claimed)).toBe(false);
    const again = await queues.reread(claimed);
    expect(again).toMatchObject({ version: 4 });
    expect(await queues.finish(again as WebhookQueue)).toBe(true);
    expect(await queues.find('due')).toBeUndefined();
  });

  async function findDue(): Promise<WebhookQueue> {
    const queue = await queues.find('due');
    if (!queue) throw new Error('nothing is due');
    return queue;
  }

  function inMinutes(minutes: number): Date {
    return new Date(bench.now.getTime() + minutes * MINUTES);
  }
});
