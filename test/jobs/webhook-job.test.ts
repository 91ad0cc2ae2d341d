import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

describeEachDatabase('webhooks', (createDatabase) => {
  const env: Record<string, string> = {};
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    Object.assign(env, receiver.env);
  });
  const harness = useHarness(createDatabase, { isolated: true, frozen: true, env });
  const tick = () => harness.home.worker.tick();
  beforeEach(() => {
    receiver.response = 204;
    receiver.posts.splice(0);
  });
  afterAll(() => receiver.close());

  it('are posted by the job, once, with the event’s fields and without a token', async () => {
    const realm_id = await harness.connect('acme');
    expect(receiver.posts).toEqual([]); // no request waits for a delivery
    await tick();
    const [event] = await harness.events('acme');
    const [post] = receiver.posts;
    const occurred_at = harness.clock.now().toISOString();
    expect(post?.event).toEqual({
      type: 'connected',
      timestamp: occurred_at,
      data: {
        organization_id: 'acme',
        accounting_system: 'quickbooks',
        event_id: event?.event_id,
        type: 'connected',
        reason: null,
        realm_id,
        actor: 'billing',
        intuit_tid: (await harness.row('acme')).last_intuit_tid,
        occurred_at,
      },
    });
    expect(post?.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': event?.event_id });
    expect(JSON.stringify(post)).not.toMatch(/eyJ|AB11|gAAAA/);
    await tick();
    expect(receiver.posts).toHaveLength(1);
  });

  it('are posted by a worker that was started, without any request', async () => {
    const { worker } = await harness.replica();
    worker.start();
    await harness.connect('acme');
    harness.clock.advance(2 * SECONDS); // more than the job's interval
    await until(() => receiver.posts.length === 1);
    await harness.disconnect('acme');
    harness.clock.advance(2 * SECONDS);
    await until(() => receiver.posts.length === 2);
    await worker.stop();
    expect(receiver.typesOf('acme')).toEqual(['connected', 'disconnected']);
  });

  it('are verified by the standardwebhooks package, and by the specification', async () => {
    await harness.connect('signed'); // the package compares with the real clock
    await tick();
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.posts;
    const signed = headers as Record<string, string>;
    expect(new Webhook(receiver.secret).verify(body, signed)).toEqual(JSON.parse(body));
    expect(() => new Webhook(receiver.secret).verify(body.replace('signed', 'forged'), signed)).toThrow();
    const content = `${signed['webhook-id']}.${signed['webhook-timestamp']}.${body}`;
    const key = Buffer.from(receiver.secret.slice('whsec_'.length), 'base64');
    expect(signed['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(content).digest('base64')}`);
  });

  it('signs with each of several secrets, so that receivers can change theirs at any time', async () => {
    const other = `whsec_${randomBytes(32).toString('base64')}`;
    const replica = await harness.replica({ env: { EVENTS_WEBHOOK_SECRET: `${other}, ${receiver.secret}` } });
    receiver.posts.splice(0);
    await harness.connect('both');
    await replica.worker.tick();
    const [post] = receiver.posts;
    const headers = post?.headers as Record<string, string>;
    expect(headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    for (const secret of [other, receiver.secret]) {
      expect(new Webhook(secret).verify(post?.body ?? '', headers)).toMatchObject({ type: 'connected' });
    }
  });

  it('that are rejected are retried with back-off for 3 days, then dropped so that later events are delivered', async () => {
    receiver.response = 500;
    await harness.connect('rejecting');
    await harness.disconnect('rejecting');
    await tick();
    expect(receiver.posts).toHaveLength(1);
    await harness.runWorker(1 * MINUTES, 5 * SECONDS);
    expect(receiver.posts.length).toBeGreaterThanOrEqual(2);
    expect(receiver.posts.length).toBeLessThanOrEqual(4);
    await harness.runWorker(71 * HOURS, 1 * HOURS);
    expect(receiver.posts.length).toBeGreaterThanOrEqual(12);
    expect(receiver.posts.length).toBeLessThanOrEqual(30);
    expect(new Set(receiver.typesOf('rejecting'))).toEqual(new Set(['connected']));
    expect(new Set(receiver.posts.map(({ headers }) => headers['webhook-id'])).size).toBe(1);

    receiver.posts.splice(0);
    harness.clock.advance(9 * HOURS);
    await tick();
    expect(receiver.typesOf('rejecting')).toEqual(['connected', 'disconnected']); // one last attempt for each
    const dropped = harness.logs.map((line) => JSON.parse(line)).filter(({ event }) => event === 'webhook.dropped');
    expect(dropped).toMatchObject([
      { level: 50, type: 'connected', reason: 'status 500' },
      { level: 50, type: 'disconnected', reason: 'status 500' },
    ]);
    await harness.connect('rejecting');
    receiver.response = 204;
    await harness.runWorker(1 * DAYS, 2 * HOURS);
    expect(receiver.typesOf('rejecting').at(-1)).toBe('connected');
  });

  it('that no worker attempted for 4 days are dropped without an attempt', async () => {
    await harness.connect('idle');
    harness.clock.advance(4 * DAYS + 1 * SECONDS);
    await harness.disconnect('idle');
    await tick();
    expect(receiver.typesOf('idle')).toEqual(['disconnected']);
  });

  it('arrive in order once the receiver is available again, also from another process', async () => {
    receiver.response = 503;
    await harness.connect('order');
    await tick();
    await harness.disconnect('order');
    await harness.connect('order');
    await harness.disconnect('order');
    receiver.response = 200;
    receiver.posts.splice(0);
    const restarted = await harness.replica();
    await harness.runWorker(10 * SECONDS, 5 * SECONDS, restarted);
    expect(receiver.typesOf('order')).toEqual(['connected', 'disconnected', 'connected', 'disconnected']);
    await harness.runWorker(1 * HOURS, 10 * MINUTES);
    expect(receiver.posts).toHaveLength(4);
  });

  it('of one organization that is never answered delay no other organization’s', async () => {
    receiver.response = ({ event }) => (event.data['organization_id'] === 'hangs' ? 'hang' : 204);
    for (const organization of ['hangs', 'b', 'c']) await harness.connect(organization);
    const ticking = tick();
    await until(() => receiver.posts.length === 3);
    harness.clock.advance(10 * SECONDS);
    await ticking;
    expect([receiver.typesOf('b'), receiver.typesOf('c')]).toEqual([['connected'], ['connected']]);
    const failed = harness.logs.map((line) => JSON.parse(line)).findLast(({ event }) => event === 'webhook.failed');
    expect(failed).toMatchObject({ level: 40, organization_id: 'hangs', reason: 'timeout' });
    receiver.response = 204;
    await harness.runWorker(10 * SECONDS, 10 * SECONDS);
    expect(receiver.typesOf('hangs')).toEqual(['connected', 'connected']);
    expect(receiver.posts).toHaveLength(4);
  });

  it('follow no redirect, which is a rejection', async () => {
    receiver.response = 307;
    await harness.connect('redirected');
    await tick();
    expect(receiver.posts).toHaveLength(1);
    receiver.response = 200;
    await harness.runWorker(10 * SECONDS, 10 * SECONDS);
    expect(receiver.posts).toHaveLength(2);
  });

  it('are posted again if the process died before it recorded that they were accepted', async () => {
    await harness.connect('crash');
    await tick();
    const claim = { delivered_position: 0, next_attempt_at: new Date(harness.clock.now().getTime() + 30 * SECONDS) };
    await harness.knex('webhook_queues').update(claim); // as the process left it
    await harness.runWorker(25 * SECONDS, 5 * SECONDS);
    expect(receiver.posts).toHaveLength(1);
    await harness.runWorker(10 * SECONDS, 5 * SECONDS);
    const ids = receiver.posts.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([ids[0], ids[0]]);
  });

  it('of a service that runs no worker are posted by another process', async () => {
    await harness.connect('by-others');
    const { worker } = await harness.replica();
    await worker.tick();
    expect(receiver.typesOf('by-others')).toEqual(['connected']);
  });

  it('are posted once by several workers', async () => {
    const organizations = ['a', 'b', 'c', 'd'];
    for (const organization of organizations) await harness.connect(organization);
    const workers = [harness.home, await harness.replica(), await harness.replica()];
    await Promise.all(workers.map(({ worker }) => worker.tick()));
    for (const organization of organizations) expect(receiver.typesOf(organization)).toEqual(['connected']);
  });

  it('are not begun once the process stops', async () => {
    const replica = await harness.replica();
    await harness.connect('stopping');
    replica.stop();
    await replica.worker.tick();
    expect(receiver.posts).toEqual([]);
    await harness.runWorker(30 * SECONDS, 30 * SECONDS);
    expect(receiver.typesOf('stopping')).toEqual(['connected']); // once the claim has ended
  });
});
