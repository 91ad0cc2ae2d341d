import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createContext } from '../../src/context.ts';
import { AppError } from '../../src/errors.ts';
import type { Job, JobOutcome } from '../../src/jobs/job.ts';
import { Worker } from '../../src/jobs/worker.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import type { Clock } from '../../src/utils/clock.ts';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { DAYS, type Harness, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { written } from '../support/rows.ts';
import { startTcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

describe('a worker', () => {
  const harness = useHarness(createSqlite, { isolated: true });

  it('runs a job as soon as it is started, and then at the job’s interval, more or less by half', async () => {
    const steps: string[] = [];
    const clock = skippingClock(harness, (milliseconds) => {
      steps.push(milliseconds >= 5_000 && milliseconds <= 15_000 ? 'interval' : `${milliseconds} ms`);
    });
    const worker = workerOf(clock, {
      intervalMs: 10_000,
      listDue: async () => {
        steps.push('look');
        return [];
      },
    });
    worker.start();
    await until(() => steps.length >= 5);
    await worker.stop();
    expect(steps.slice(0, 5)).toEqual(['look', 'interval', 'look', 'interval', 'look']);
  });

  it('pauses after each item for which a provider was called, and after no other', async () => {
    const outcomes: JobOutcome[] = ['done', 'skipped', 'done', 'skipped', 'skipped', 'done'];
    const pauses: number[] = [];
    const clock = skippingClock(harness, (milliseconds) => pauses.push(milliseconds));
    await workerOf(clock, { pauseMs: 100, listDue: async () => outcomes, run: async (outcome) => outcome }).tick();
    expect(pauses).toHaveLength(3);
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(50);
      expect(pause).toBeLessThanOrEqual(150);
    }
  });

  it('works on as many items at once as the job allows, and on none that another worker claimed', async () => {
    let running = 0;
    let max = 0;
    let count = 0;
    const worker = workerOf(harness.clock, {
      concurrency: 3,
      listDue: async () => ['done', 'done', 'skipped', 'done', 'done', 'done', 'skipped', 'done'],
      claim: async (item) => (item === 'done' ? item : undefined),
      run: async () => {
        running += 1;
        count += 1;
        max = Math.max(max, running);
        await harness.clock.nextTurn();
        running -= 1;
        return 'skipped';
      },
    });
    await worker.tick();
    expect([max, count]).toEqual([3, 6]);
  });

  it('logs a job that fails, runs the others all the same, and runs it again at the next tick', async () => {
    const failures: Error[] = [new TypeError('a fault of this service'), new AppError('service_unavailable')];
    let others = 0;
    const failing: FakeJob = {
      name: 'failing',
      listDue: async () => {
        const failure = failures.shift();
        if (failure) throw failure;
        return [];
      },
    };
    const other: FakeJob = {
      listDue: async () => {
        others += 1;
        return [];
      },
    };
    const worker = workerOf(harness.clock, failing, other);
    const before = harness.logs.length;
    for (let tick = 0; tick < 3; tick += 1) await worker.tick();
    expect(harness.logs.slice(before).map((line) => JSON.parse(line))).toMatchObject([
      { level: 50, event: 'worker.job.failed', job: 'failing' },
      { level: 40, event: 'worker.job.failed', job: 'failing' }, // the database is unavailable
    ]);
    expect(others).toBe(3);
  });

  it('finishes the item that it is working on when it is stopped, and begins no other', async () => {
    await connectDue(harness, 5);
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const { worker } = await harness.replica();
    worker.start();
    await until(() => harness.refreshes() === 1);
    const stopped = worker.stop();
    release();
    await stopped;
    expect(harness.simulator.callsTo('token')).toMatchObject([{ status: 200 }]);
    expect(await harness.knex('oauth_tokens').where('generation', 1)).toHaveLength(1);
  });

  it('calls Intuit a few times per second at most', async () => {
    await connectDue(harness, 5);
    const pauses = await tickWithProductionPace(harness);
    expect([harness.refreshes(), pauses.length]).toEqual([5, 5]);
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(150);
      expect(pause).toBeLessThanOrEqual(450);
    }
  });

  it('does not pause for rows that need no call', async () => {
    await connectDue(harness, 1);
    const row = written(await harness.row('due-1'));
    const idle = Array.from({ length: 90 }, (_item, index) => ({
      ...row,
      token_id: randomUUID(),
      organization_id: `idle-${index}` as OrganizationId,
      refresh_token_expires_at: new Date(harness.clock.now().getTime() + 90 * DAYS),
    }));
    await harness.knex.batchInsert('oauth_tokens', idle, 30);
    const pauses = await tickWithProductionPace(harness);
    expect([harness.refreshes(), pauses.length]).toEqual([1, 1]);
    expect(await harness.knex('oauth_tokens').where('next_maintenance_at', '<=', harness.clock.now())).toEqual([]);
  });

  it('seldom calls Intuit while it is unavailable, and maintains everything once it is available again', async () => {
    const organizations = await connectDue(harness, 40);
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await harness.runWorker(1 * HOURS, 20 * SECONDS);
    expect(harness.refreshes()).toBeGreaterThanOrEqual(10);
    expect(harness.refreshes()).toBeLessThanOrEqual(40);
    harness.simulator.clearFaults();
    await harness.runWorker(20 * MINUTES, 1 * MINUTES);
    for (const organization of organizations) {
      expect(await harness.row(organization)).toMatchObject({ refresh_failures: 0, generation: 1 });
    }
  });

  it.each([
    ['rejects this service', { kind: 'invalid_client' }],
    ['returns a page', { kind: 'html' }],
    ['returns nothing', { kind: 'drop_before' }],
  ] as const)('stops after a few failures that the other connections would meet too: Intuit %s', async (_, fault) => {
    const organizations = await connectDue(harness, 5);
    harness.simulator.fail({ on: 'token', times: null, ...fault });
    await harness.runWorker(9 * SECONDS, 3 * SECONDS);
    expect(harness.refreshes()).toBeLessThan(5);
    harness.simulator.clearFaults();
    await harness.runWorker(15 * MINUTES, 1 * MINUTES);
    for (const organization of organizations) {
      expect(await harness.row(organization)).toMatchObject({ refresh_failures: 0, generation: 1 });
    }
  });

  it('does not stop at a rejection that concerns one connection', async () => {
    const organizations = await connectDue(harness, 5);
    harness.simulator.fail({ on: 'token', kind: 'invalid_request' });
    harness.simulator.fail({ on: 'token', kind: 'invalid_grant' });
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(5);
    const rows = await Promise.all(organizations.map((organization) => harness.row(organization)));
    expect(rows.map(({ generation, is_active }) => `${generation} ${is_active}`).sort()).toEqual([
      '0 1', // refreshed by the next maintenance
      '1 0', // lost
      '1 1',
      '1 1',
      '1 1',
    ]);
  });

  it.each([
    ['denies the company with 400', async () => denyCompanies()],
    ['rejects the access token and the refresh token', async (realmIds: string[]) => revokeGrants(realmIds)],
  ])('maintains the healthy connections at once although Intuit, for 8 unproven ones, %s', async (_, reject) => {
    const { worker } = await harness.replica();
    const healthy = await connectDue(harness, 3);
    await reject(
      await connectUnproven(
        harness,
        Array.from({ length: 8 }, (_item, index) => `faulty-${index}`),
      ),
    );
    const before = harness.logs.length;
    await worker.tick();
    for (const organization of healthy) expect(await harness.row(organization)).toMatchObject({ generation: 1 });
    expect(harness.simulator.callsTo('api').length).toBe(8);
    expect(await harness.knex('oauth_tokens').where('is_active', 1)).toHaveLength(healthy.length);
    expect(cooldownsSince(before)).toEqual([]);
  });

  it.each([
    ['continues after failures of one company, however many organizations share it', ['9999'], 5, []],
    ['pauses after failures of three companies', [], 3, ['maintenance']],
  ])('%s', async (_, [realmId], calls, cooldowns) => {
    const { worker } = await harness.replica();
    const organizations = Array.from({ length: 5 }, (_item, index) => `org-${index}`);
    await connectUnproven(harness, organizations, realmId);
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503, times: null });
    const before = harness.logs.length;
    await worker.tick();
    expect(harness.simulator.callsTo('api')).toHaveLength(calls);
    expect(cooldownsSince(before)).toEqual(cooldowns);
  });

  it('does not count a company that its own limits keep it from calling', async () => {
    const replica = await harness.replica();
    const healthy = await connectDue(harness, 1);
    const throttled = ['a', 'b', 'c', 'd'];
    for (const organization of throttled) await harness.connect(organization);
    harness.simulator.fail({ on: 'api', kind: 'status', status: 429, retryAfter: 3_600, times: throttled.length });
    for (const organization of throttled) {
      expect(await harness.use(organization, replica)).toBe(429);
      await harness.set(organization, { last_verified_at: null, next_maintenance_at: harness.clock.now() });
    }
    harness.simulator.resetCalls();
    const before = harness.logs.length;
    await replica.worker.tick();
    expect(harness.simulator.callsTo('api')).toEqual([]);
    expect(cooldownsSince(before)).toEqual([]);
    for (const organization of healthy) expect(await harness.row(organization)).toMatchObject({ generation: 1 });
  });

  it('counts the companies that failed since the last success, and no item that was skipped', async () => {
    const items = ['a', 'b', 'a', 'done', 'a', 'skipped', 'b', 'skipped', 'b', 'a', 'c', 'd'];
    const done: string[] = [];
    const before = harness.logs.length;
    await workerOf(inOrder(harness), {
      listDue: async () => items as JobOutcome[],
      companyOf: (item) => item,
      run: async (item) => {
        done.push(item);
        return item === 'done' || item === 'skipped' ? item : 'provider_down';
      },
    }).tick();
    expect(done.join(' ')).toBe('a b a done a skipped b skipped b a c');
    expect(cooldownsSince(before)).toEqual(['a job']);
  });

  it('pauses for longer after each failure that follows, up to 5 minutes, and from the start after a success', async () => {
    const before = harness.logs.length;
    let isDown = true;
    const worker = workerOf(inOrder(harness), {
      listDue: async () => ['a', 'b', 'c'] as unknown as JobOutcome[],
      companyOf: (item) => item,
      run: async () => (isDown ? 'provider_down' : 'done'),
    });
    const tickAfterPause = async () => {
      harness.clock.advance(5 * MINUTES);
      await worker.tick();
    };
    for (let tick = 0; tick < 7; tick += 1) await tickAfterPause();
    isDown = false;
    await tickAfterPause();
    isDown = true;
    await tickAfterPause();
    const pauses = eventsSince(before, 'worker.cooldown').map(({ cooldown_ms }) => cooldown_ms);
    const [first = 0] = pauses;
    expect(first).toBeGreaterThan(0);
    expect(pauses.map((pause) => pause / first)).toEqual([1, 2, 4, 8, 16, 20, 20, 1]);
  });

  async function denyCompanies(): Promise<void> {
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 400, times: null });
  }

  async function revokeGrants(realmIds: string[]): Promise<void> {
    for (const realmId of realmIds) harness.simulator.revokeGrant(realmId);
  }

  function cooldownsSince(line: number): string[] {
    return eventsSince(line, 'worker.cooldown').map(({ job }) => job);
  }

  function eventsSince(line: number, event: string) {
    const lines = harness.logs.slice(line).map((each) => JSON.parse(each));
    return lines.filter((each) => each.event === event);
  }

  /** A job that does nothing but what it is given. */
  type FakeJob = Partial<Job<JobOutcome>>;

  function workerOf(clock: Clock, ...jobs: FakeJob[]): Worker {
    const { logger, metrics } = harness.home;
    const complete = jobs.map((job) => ({
      name: 'a job',
      concurrency: 1,
      intervalMs: 1_000,
      pauseMs: 0,
      listDue: async () => [],
      claim: async (item: JobOutcome) => item,
      run: async () => 'skipped' as const,
      ...job,
    }));
    const encryptionKey = { isValid: async () => true };
    return new Worker({ jobs: complete as Job[], encryptionKey, clock, logger, metrics });
  }
});

describeOnServer('a worker whose database is unavailable', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('continues when it is available again', async () => {
    const relay = await startTcpRelay(harness.database.url);
    const { worker } = await harness.replica({ env: { DATABASE_URL: relay.url, NODE_ENV: 'production' } });
    const [organization = ''] = await connectDue(harness, 1);
    relay.refuse();
    await worker.tick();
    await worker.tick();
    expect(harness.refreshes()).toBe(0);
    const failed = harness.logs.map((line) => JSON.parse(line)).filter(({ event }) => event === 'worker.job.failed');
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.filter(({ level }) => level > 40)).toEqual([]);
    await relay.pass();
    await worker.tick();
    expect([harness.refreshes(), (await harness.row(organization)).generation]).toEqual([1, 1]);
    relay.close();
  });

  it('keeps a response that it received meanwhile until it can be saved', async () => {
    const relay = await startTcpRelay(harness.database.url);
    const replica = await harness.replica({ env: { DATABASE_URL: relay.url, NODE_ENV: 'production' } });
    const [organization = ''] = await connectDue(harness, 1);
    const save = jest.spyOn(replica.refreshes, 'saveRefreshed');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const tick = replica.worker.tick();
    await until(() => harness.refreshes() === 1);
    relay.refuse();
    release();
    await until(() => save.mock.calls.length > 1);
    await relay.pass();
    await tick;
    expect((await harness.row(organization)).generation).toBe(1);
    expect(await harness.use(organization)).toBe(200);
    relay.close();
  });
});

/** Connections whose keep-alive is due now. */
async function connectDue(harness: Harness, count: number): Promise<string[]> {
  const organizations = Array.from({ length: count }, (_, index) => `due-${index + 1}`);
  for (const organization of organizations) await harness.connect(organization);
  harness.clock.advance(88 * DAYS);
  return organizations;
}

/** Connections whose company Intuit could not confirm, and which are to be proven now. Returns their companies. */
async function connectUnproven(harness: Harness, organizations: string[], realmId?: string): Promise<string[]> {
  const realmIds: string[] = [];
  for (const organization of organizations) {
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    realmIds.push(await harness.connect(organization, realmId));
  }
  harness.clock.advance(2 * MINUTES);
  return realmIds;
}

/** Runs a worker once as production does. Returns its pauses in milliseconds, which it skipped. */
async function tickWithProductionPace(harness: Harness): Promise<number[]> {
  const { config, logger } = harness.home;
  const pauses: number[] = [];
  const clock = skippingClock(harness, (milliseconds) => pauses.push(milliseconds));
  const context = createContext(config, logger, { clock });
  await context.worker.tick();
  await context.close();
  return pauses;
}

/** The harness's clock, but a sleep is reported and ends at once. */
function skippingClock({ clock }: Harness, onSleep: (milliseconds: number) => void): Clock {
  const sleep: Clock['sleep'] = async (milliseconds) => {
    onSleep(milliseconds);
    await clock.nextTurn();
  };
  return Object.assign(Object.create(clock) as Clock, { sleep });
}

/** The harness's clock, but a worker works on its items in their order. */
function inOrder({ clock }: Harness): Clock {
  return Object.assign(Object.create(clock) as Clock, { random: () => 0.5 });
}
