import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Context } from '../src/context.ts';
import { describeOnServer } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { type Process, run, runServer } from './support/processes.ts';
import { startWebhookReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';
import { DAYS, HOURS, MINUTES, useWorkerBench } from './support/worker-bench.ts';

describeOnServer('several workers', (createDatabase) => {
  const env: Record<string, string> = {};
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    Object.assign(env, receiver.env);
  });
  const bench = useWorkerBench(createDatabase, env);
  let three: Context[];
  beforeAll(async () => {
    three = [bench.home, await bench.replica(), await bench.replica()];
  });
  afterAll(() => receiver.close());

  it('make each call once, whatever it is for', async () => {
    const kept = names('kept', 12);
    for (const organization of kept) await bench.connect(organization);
    for (const organization of names('lost', 4)) {
      await bench.connect(organization);
      await bench.lose(organization);
    }
    bench.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: 4 });
    for (const organization of names('ended', 4)) {
      await bench.connect(organization);
      await bench.disconnect(organization);
    }
    const soon = { refresh_token_expires_at: new Date(bench.now.getTime() + 10 * DAYS), next_care_at: bench.now };
    for (const organization of kept) await bench.set(organization, soon);
    bench.advance(30 * MINUTES);
    bench.simulator.resetCalls();

    await Promise.all(three.map(({ worker }) => worker.tick()));
    expect([bench.refreshes(), bench.revocations()]).toEqual([12 + 4, 4]);
    expect(new Set(bench.simulator.calls.map(({ token }) => token)).size).toBe(20);
    for (const organization of kept) expect(await bench.story(organization)).toEqual(['connected']);
    for (const organization of names('lost', 4)) {
      expect(await bench.story(organization)).toEqual(['connected', 'lost', 'recovered']);
    }
    expect(await bench.pending()).toEqual([]);
    await Promise.all(three.map(({ worker }) => worker.tick()));
    expect(bench.simulator.calls).toHaveLength(20);
  });

  it('deliver every event of an organization in its order, though many are made at once', async () => {
    receiver.posts.splice(0);
    receiver.answer = () => (Math.random() < 0.2 ? 500 : 204);
    await Promise.all(names('any', 30).map((_, index) => refuseConsent(three[index % 3], 'crowded')));
    receiver.answer = 204;
    while (receiver.posts.length < 30 || (await waiting()) > 0) {
      bench.advance(1 * MINUTES);
      await Promise.all(three.map(({ worker }) => worker.tick()));
    }
    const ids = (await bench.events('crowded')).map(({ event_id }) => event_id);
    const told = receiver.posts.map(({ headers }) => headers['webhook-id']);
    expect(ids).toHaveLength(30);
    expect([...new Set(told)]).toEqual(ids);
  });

  it('do what one left that was killed in the middle of its work', async () => {
    const organizations = names('killed', 5);
    for (const organization of organizations) await bench.connect(organization);
    const soon = { refresh_token_expires_at: new Date(Date.now() + 10 * DAYS), next_care_at: new Date(Date.now() - 1) };
    for (const organization of organizations) await bench.set(organization, soon);
    bench.simulator.resetCalls();
    bench.simulator.fail({ on: 'token', kind: 'strings', times: 2 }); // two go well
    bench.simulator.fail({ on: 'token', kind: 'hang' }); // in the third it dies
    const worker = startWorker();
    while (bench.refreshes() < 3) await delay(5);
    void worker.kill('SIGKILL');
    await worker.ended;
    const inFlight = bench.simulator.callsTo('token')[2]?.token;

    await bench
      .knex('oauth_tokens')
      .whereNotNull('refresh_lease_owner')
      .update({ refresh_lease_expires_at: new Date(0) });
    bench.now = new Date(Date.now() + 15 * MINUTES);
    await Promise.all(three.map(({ worker }) => worker.tick()));
    const tokens = bench.simulator.callsTo('token').map(({ token }) => token);
    expect(tokens).toHaveLength(5 + 1);
    expect(tokens.filter((token) => token === inFlight)).toHaveLength(2);
    expect(new Set(tokens).size).toBe(5);
    for (const organization of organizations) expect(await bench.use(organization)).toBe(200);
  });

  it('as a process of its own posts again what it could not note, and ends with 0 at SIGTERM', async () => {
    receiver.posts.splice(0);
    receiver.answer = 'hang';
    bench.now = new Date(Date.now() - 1 * HOURS);
    await refuseConsent(bench.home, 'posted');
    await bench.knex('webhook_queues').update({ next_attempt_at: bench.now });
    const first = startWorker();
    while (receiver.posts.length < 2) await delay(5);
    void first.kill('SIGKILL');
    await first.ended;

    receiver.answer = 204;
    await bench.knex('webhook_queues').update({ next_attempt_at: bench.now }); // its claim ran out
    const second = startWorker();
    while ((await waiting()) > 0) await delay(10);
    expect(new Set(receiver.posts.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    void second.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    expect([second.stderr(), second.stdout()]).toEqual(['', expect.stringMatching(/"working"[\s\S]*"stopped"/)]);
    expect(second.stdout()).not.toMatch(/eyJ|AB11|gAAAA|whsec_/);
  });

  it.each([
    ['is one of them', 'true', 1],
    ['is none of them where WORKER_ENABLED is false', 'false', 0],
  ])('share their work with the service, which %s', async (_, WORKER_ENABLED, calls) => {
    bench.now = new Date();
    await bench.connect('cared');
    await bench.set('cared', { refresh_token_expires_at: new Date(Date.now() + 10 * DAYS), next_care_at: bench.now });
    bench.simulator.resetCalls();
    const server = await runServer({ ...variables(), WORKER_ENABLED });
    const due = async () => new Date((await bench.row('cared')).next_care_at ?? 0) <= new Date();
    if (calls > 0) while (await due()) await delay(25);
    void server.kill('SIGTERM');
    expect([await server.ended, bench.refreshes()]).toEqual([0, calls]);
  });

  function variables(): Record<string, string> {
    const own = { NODE_ENV: 'production', LOG_LEVEL: 'info' };
    return { ...environment(bench.database.url, bench.simulator), ...env, ...own };
  }

  function startWorker(): Process {
    return run('dist/src/worker.js', [], variables());
  }

  async function refuseConsent(replica: Context | undefined, organizationId: string): Promise<void> {
    const flow = replica?.oauthService.connect(organizationId, 'browser');
    await replica?.oauthService.callback({ state: flow?.state ?? '', error: 'access_denied' }, flow?.browserSecret);
  }

  async function waiting(): Promise<number> {
    return (await bench.knex('webhook_queues').whereNotNull('next_attempt_at')).length;
  }
});

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
}
