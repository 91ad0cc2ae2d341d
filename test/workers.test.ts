import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Context } from '../src/context.ts';
import { describeOnServer } from './support/databases.ts';
import { environment } from './support/environment.ts';
import { DAYS, type Harness, MINUTES, useHarness } from './support/harness.ts';
import { scrape } from './support/metrics.ts';
import { projectFile, runServer, type ServiceProcess } from './support/processes.ts';
import { PREFIX } from './support/requests.ts';
import { until } from './support/until.ts';
import { startWebhookReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';

describeOnServer('three workers that share one database', (createDatabase) => {
  const { receiver, env } = useReceiver();
  const harness = useHarness(createDatabase, { env });
  let workers: Context[];
  const tickAll = () => Promise.all(workers.map(({ worker }) => worker.tick()));
  beforeAll(async () => {
    workers = [harness.home, await harness.replica(), await harness.replica()];
  });

  it('make each call once: keep-alive, recovery and revocation', async () => {
    const { clock, simulator } = harness;
    const kept = names('kept', 12);
    for (const organization of kept) await harness.connect(organization);
    for (const organization of names('lost', 4)) {
      await harness.connect(organization);
      await harness.lose(organization);
    }
    simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: 4 });
    for (const organization of names('ended', 4)) {
      await harness.connect(organization);
      await harness.disconnect(organization);
    }
    for (const organization of kept) await makeDue(harness, organization);
    clock.advance(30 * MINUTES);
    simulator.resetCalls();

    await tickAll();
    expect([harness.refreshes(), harness.revocations()]).toEqual([12 + 4, 4]);
    expect(new Set(simulator.calls.map(({ token }) => token)).size).toBe(20);
    for (const organization of kept) expect(await harness.eventTypes(organization)).toEqual(['connected']);
    for (const organization of names('lost', 4)) {
      expect(await harness.eventTypes(organization)).toEqual(['connected', 'lost', 'recovered']);
    }
    expect(await harness.pendingRevocations()).toEqual([]);
    await tickAll();
    expect(simulator.calls).toHaveLength(20);
  });

  it('deliver concurrent events of one organization in their order', async () => {
    let attempts = 0;
    receiver().posts.splice(0);
    receiver().response = () => (++attempts % 5 === 0 ? 500 : 204);
    await Promise.all(names('any', 30).map((_, index) => declineConsent(harness, 'crowded', workers[index % 3])));
    while ((await pendingQueues(harness)) > 0) {
      harness.clock.advance(1 * MINUTES);
      await tickAll();
    }
    const recorded = (await harness.events('crowded')).map(({ event_id }) => event_id);
    const delivered = receiver().posts.map(({ headers }) => headers['webhook-id']);
    expect(recorded).toHaveLength(30);
    expect([...new Set(delivered)]).toEqual(recorded);
  });
});

describeOnServer('a worker in a process of its own', (createDatabase) => {
  const { receiver, env } = useReceiver();
  const harness = useHarness(createDatabase, { env, isolated: true });
  afterEach(() => harness.clock.setWallClock(new Date())); // as the processes' clocks

  it('leaves its work to others if it is killed during a refresh', async () => {
    const { simulator, clock, home } = harness;
    const workers = [home, await harness.replica(), await harness.replica()];
    const organizations = names('killed', 5);
    for (const organization of organizations) await harness.connect(organization);
    for (const organization of organizations) await makeDue(harness, organization);
    simulator.fail({ on: 'token', kind: 'strings', times: 2 }); // two refreshes succeed
    simulator.fail({ on: 'token', kind: 'hang' }); // the process is killed during the third
    const process = await startWorker();
    await until(() => harness.refreshes() === 3);
    await process.kill('SIGKILL');
    const inFlight = simulator.callsTo('token')[2]?.token;

    await harness.knex('oauth_tokens').whereNotNull('refresh_lease_owner').update({ refresh_lease_owner: null });
    clock.advance(15 * MINUTES);
    await Promise.all(workers.map(({ worker }) => worker.tick()));
    const tokens = simulator.callsTo('token').map(({ token }) => token);
    expect(tokens).toHaveLength(5 + 1);
    expect(tokens.filter((token) => token === inFlight)).toHaveLength(2);
    expect(new Set(tokens).size).toBe(5);
    for (const organization of organizations) expect(await harness.use(organization)).toBe(200);
  });

  it('posts an event again whose delivery was interrupted, and exits with 0 at SIGTERM', async () => {
    receiver().posts.splice(0);
    receiver().response = 'hang';
    await declineConsent(harness, 'posted');
    const first = await startWorker();
    await until(() => receiver().posts.length === 1);
    await first.kill('SIGKILL');

    receiver().response = 204;
    await harness.knex('webhook_queues').update({ next_attempt_at: new Date() }); // its claim has ended
    const second = await startWorker();
    await until(async () => (await pendingQueues(harness)) === 0);
    const [event] = await harness.events('posted');
    const ids = receiver().posts.map(({ headers }) => headers['webhook-id']);
    expect(ids).toEqual([event?.event_id, event?.event_id]);
    expect(await second.kill('SIGTERM')).toBe(0);
    expect([second.stderr(), second.stdout()]).toEqual(['', expect.stringMatching(/"listening"[\s\S]*"stopped"/)]);
    expect(second.stdout()).not.toMatch(/eyJ|AB11|gAAAA|whsec_/);
  });

  it.each([
    ['runs inside the service', 'true', 1],
    ['does not run inside the service if WORKER_ENABLED is false', 'false', 0],
  ])('%s', async (_, WORKER_ENABLED, calls) => {
    await harness.connect('acme');
    await makeDue(harness, 'acme');
    const server = await runServer({ ...variables(), WORKER_ENABLED });
    await until(() => harness.refreshes() === calls);
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(harness.refreshes()).toBe(calls);
  });

  it('serves health and metrics, in which the connections that it finds lost are counted, and nothing else', async () => {
    await harness.connect('counted');
    harness.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    await makeDue(harness, 'counted');
    const worker = await startWorker();
    await until(async () => (await harness.eventTypes('counted')).includes('lost'));
    expect(await scrape(worker)).toMatchObject({
      'accounting_token_refreshes_total{outcome="revoked"}': 1,
      'accounting_token_refreshes_total{outcome="rotation_lost"}': 0,
      'accounting_connections{state="lost"}': expect.any(Number),
      accounting_database_up: 1,
      process_resident_memory_bytes: expect.any(Number),
    });
    const statuses = ['/healthz', '/readyz', `${PREFIX}/status/counted`, '/docs', '/openapi.json'].map(
      async (path) => (await fetch(`${worker.origin}${path}`)).status,
    );
    expect(await Promise.all(statuses)).toEqual([200, 200, 404, 404, 404]);
    expect(await worker.kill('SIGTERM')).toBe(0);
  });

  function startWorker(): Promise<ServiceProcess> {
    return runServer(variables(), { args: [projectFile('dist/src/worker.js')] });
  }

  function variables(): Record<string, string> {
    const { database, simulator } = harness;
    return { ...environment(database.url, simulator), ...env, NODE_ENV: 'production', LOG_LEVEL: 'info' };
  }
});

/** A receiver for one suite, and the variables of a service that posts there. */
function useReceiver(): { receiver: () => WebhookReceiver; env: Record<string, string> } {
  const env: Record<string, string> = {};
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await startWebhookReceiver();
    Object.assign(env, receiver.env);
  });
  afterAll(() => receiver.close());
  return { receiver: () => receiver, env };
}

/** Makes the worker refresh the connection at its next tick. */
async function makeDue(harness: Harness, organizationId: string): Promise<void> {
  const now = harness.clock.now();
  await harness.set(organizationId, {
    refresh_token_expires_at: new Date(now.getTime() + 10 * DAYS),
    next_maintenance_at: now,
  });
}

/** Causes an event. */
async function declineConsent(harness: Harness, organizationId: string, replica = harness.home): Promise<void> {
  const { state, browserSecret } = replica.oauthService.connect(harness.key(organizationId), 'browser');
  await replica.oauthService.callback('quickbooks', { state, error: 'access_denied' }, browserSecret);
}

async function pendingQueues({ knex }: Harness): Promise<number> {
  return (await knex('webhook_queues').whereNotNull('next_attempt_at')).length;
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
}
