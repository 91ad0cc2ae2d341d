import { createHmac } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { describeEachDatabase } from '../support/databases.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { DAYS, HOURS, MINUTES, SECONDS, useWorkerBench } from '../support/worker-bench.ts';

const WEBHOOK_TIMEOUT_MS = 300;

describeEachDatabase('webhooks', (createDatabase) => {
  const env: Record<string, string> = {};
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    Object.assign(env, receiver.env);
  });
  const bench = useWorkerBench(createDatabase, env, { workerPaceMs: 0, webhookTimeoutMs: WEBHOOK_TIMEOUT_MS });
  beforeEach(() => {
    receiver.answer = 204;
    receiver.posts.splice(0);
  });
  afterAll(() => receiver.close());

  it('are posted at once, each with its event’s fields, and no token', async () => {
    const realm_id = await bench.connect('acme');
    await until(() => receiver.posts.length === 1);
    const [event] = await bench.events('acme');
    const [post] = receiver.posts;
    const occurred_at = new Date(event?.occurred_at ?? 0).toISOString();
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
        intuit_tid: bench.simulator.callsTo('token')[0]?.intuitTid,
        occurred_at,
      },
    });
    expect(post?.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': event?.event_id });
    expect(JSON.stringify(post)).not.toMatch(/eyJ|AB11|gAAAA/);
    await bench.home.worker.tick();
    expect(receiver.posts).toHaveLength(1);
  });

  it('are verified by the standardwebhooks package, and by the specification', async () => {
    bench.now = new Date(); // the package looks at the real clock
    await bench.connect('signed');
    await until(() => receiver.posts.length === 1);
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.posts;
    const given = headers as Record<string, string>;
    expect(new Webhook(receiver.secret).verify(body, given)).toEqual(JSON.parse(body));
    expect(() => new Webhook(receiver.secret).verify(body.replace('signed', 'forged'), given)).toThrow();
    const signed = `${given['webhook-id']}.${given['webhook-timestamp']}.${body}`;
    const key = Buffer.from(receiver.secret.slice('whsec_'.length), 'base64');
    expect(given['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  });

  it('that are not taken are tried again with back-off for 3 days, then given up for those behind them', async () => {
    receiver.answer = 500;
    await bench.connect('away');
    await bench.disconnect('away');
    await until(() => receiver.posts.length === 1);
    await settled();
    await bench.pass(1 * MINUTES, 5 * SECONDS);
    expect(receiver.posts.length).toBeGreaterThanOrEqual(2);
    expect(receiver.posts.length).toBeLessThanOrEqual(4);
    await bench.pass(71 * HOURS, 1 * HOURS);
    expect(receiver.posts.length).toBeGreaterThanOrEqual(12);
    expect(receiver.posts.length).toBeLessThanOrEqual(30);
    expect(new Set(receiver.typesOf('away'))).toEqual(new Set(['connected']));
    expect(new Set(receiver.posts.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    receiver.posts.splice(0);
    bench.advance(9 * HOURS);
    await bench.home.worker.tick();
    expect(receiver.typesOf('away')).toEqual(['connected', 'disconnected']); // each is given up
    await bench.connect('away');
    receiver.answer = 204;
    await bench.pass(1 * DAYS, 2 * HOURS);
    expect(receiver.typesOf('away').at(-1)).toBe('connected');
  });

  it('arrive in order when the receiver is back, also from another process', async () => {
    receiver.answer = 503;
    await bench.connect('order');
    await settled();
    await bench.disconnect('order');
    await bench.connect('order');
    await bench.disconnect('order');
    receiver.answer = 200;
    receiver.posts.splice(0);
    const restarted = await bench.replica();
    await bench.pass(10 * SECONDS, 5 * SECONDS, restarted);
    expect(receiver.typesOf('order')).toEqual(['connected', 'disconnected', 'connected', 'disconnected']);
    await bench.pass(1 * HOURS, 10 * MINUTES);
    expect(receiver.posts).toHaveLength(4);
  });

  it('of one organization that is left hanging delay no request and no other organization', async () => {
    receiver.answer = ({ event }) => (event.data['organization_id'] === 'hangs' ? 'hang' : 204);
    const begun = performance.now();
    for (const organization of ['hangs', 'well', 'fine']) await bench.connect(organization);
    expect(performance.now() - begun).toBeLessThan(1_000);
    await until(() => receiver.posts.length === 3);
    await settled();
    await bench.pass(10 * SECONDS, 10 * SECONDS);
    expect(receiver.typesOf('hangs')).toHaveLength(2);
    expect([receiver.typesOf('well'), receiver.typesOf('fine')]).toEqual([['connected'], ['connected']]);
    expect(bench.logs.join('\n')).toContain('"reason":"TimeoutError"');
  });

  it('follow no redirect: it is no answer', async () => {
    receiver.answer = 307;
    await bench.connect('redirected');
    await settled();
    expect(receiver.posts).toHaveLength(1);
    receiver.answer = 200;
    await bench.pass(10 * SECONDS, 10 * SECONDS);
    expect(receiver.posts).toHaveLength(2);
  });

  it('are posted again where the process died before it could note that they were taken', async () => {
    receiver.answer = 'hang';
    await bench.connect('crash');
    await until(() => receiver.posts.length === 1);
    await settled();
    await bench.knex('webhook_queues').update({ next_attempt_at: new Date(bench.now.getTime() + 30 * SECONDS) }); // its claim
    receiver.answer = 200;
    await bench.pass(25 * SECONDS, 5 * SECONDS);
    expect(receiver.posts).toHaveLength(1);
    await bench.pass(10 * SECONDS, 5 * SECONDS);
    expect(receiver.posts.map(({ headers }) => headers['webhook-id'])).toEqual(
      Array(2).fill(receiver.posts[0]?.headers['webhook-id']),
    );
  });

  it('made by a service that does not work itself are delivered by a worker', async () => {
    receiver.answer = 500;
    await bench.connect('by-others');
    await until(() => receiver.posts.length === 1);
    await settled();
    receiver.answer = 200;
    const worker = await bench.replica();
    await bench.pass(10 * SECONDS, 10 * SECONDS, worker);
    expect(receiver.typesOf('by-others')).toEqual(['connected', 'connected']);
  });

  /** The first tries are over, taken or not. */
  async function settled(): Promise<void> {
    const isClaimed = { next_attempt_at: new Date(bench.now.getTime() + 30 * SECONDS) };
    await delay(50);
    while ((await bench.knex('webhook_queues').where(isClaimed)).length > 0) await delay(10);
  }
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(5);
}
