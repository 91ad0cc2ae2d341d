import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import { createSqlite, describeOnServer } from '../support/databases.ts';
import { rowOf } from '../support/rows.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { DAYS, HOURS, MINUTES, SECONDS, useWorkerBench, type WorkerBench } from '../support/worker-bench.ts';

describe('a worker', () => {
  const bench = useWorkerBench(createSqlite);

  it('makes no more than a few calls a second', async () => {
    await connectDue(bench, 5);
    const paced = await bench.replica({}, {});
    const begun = performance.now();
    await paced.worker.tick();
    expect(bench.refreshes()).toBe(5);
    expect((performance.now() - begun) / 5).toBeGreaterThan(200); // at most five a second
  });

  it('begins at once when it is started, and ends what it is at when it is stopped', async () => {
    await connectDue(bench, 20);
    bench.simulator.fail({ on: 'token', kind: 'slow', delayMs: 100, times: null });
    const started = await bench.replica({}, {});
    started.worker.start();
    while (bench.refreshes() === 0) await delay(5);
    await started.worker.stop();
    const answered = bench.simulator.callsTo('token').filter(({ status }) => status === 200);
    expect(answered).toHaveLength(bench.refreshes());
    expect(answered.length).toBeLessThan(20);
  });

  it('leaves Intuit alone while it is in trouble, and works on when it is back', async () => {
    const organizations = await connectDue(bench, 40);
    bench.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await bench.pass(1 * HOURS, 20 * SECONDS);
    expect(bench.refreshes()).toBeGreaterThanOrEqual(10);
    expect(bench.refreshes()).toBeLessThanOrEqual(40);
    bench.simulator.clearFaults();
    await bench.pass(20 * MINUTES, 1 * MINUTES);
    for (const organization of organizations) expect((await bench.row(organization)).refresh_failures).toBe(0);
  });

  it.each([
    ['invalid_client', { kind: 'invalid_client' }],
    ['a page', { kind: 'html' }],
    ['nothing', { kind: 'drop_before' }],
  ] as const)('stops at the first answer that would meet all the others as well: %s', async (_, fault) => {
    await connectDue(bench, 5);
    bench.simulator.fail({ on: 'token', times: null, ...fault });
    await bench.pass(9 * SECONDS, 3 * SECONDS);
    expect(bench.refreshes()).toBe(1);
    bench.simulator.clearFaults();
    await bench.pass(15 * MINUTES, 1 * MINUTES);
    expect(bench.refreshes()).toBe(6);
  });

  it('is not held up by many rows that need no call', async () => {
    await connectDue(bench, 1);
    const rows = Array.from({ length: 90 }, (_, index) =>
      rowOf({
        organization_id: `quiet-${index}`,
        company_name: 'Quiet',
        refresh_token_expires_at: new Date(bench.now.getTime() + 90 * DAYS),
        next_care_at: bench.now,
      }),
    );
    for (const row of rows) await bench.knex('oauth_tokens').insert(row);
    const begun = performance.now();
    await (await bench.replica({}, {})).worker.tick();
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(bench.refreshes()).toBe(1);
    const left = await bench.knex('oauth_tokens').where('next_care_at', '<=', bench.now);
    expect(left).toEqual([]);
  });

  it('deletes events after 400 days, and spent states, not before they expired on every clock', async () => {
    await bench.connect('old');
    bench.advance(11 * MINUTES);
    await bench.home.worker.tick();
    expect(await bench.knex('oauth_states')).toHaveLength(1);
    await bench.pass(2 * DAYS, 1 * DAYS);
    expect(await bench.knex('oauth_states')).toEqual([]);
    await bench.pass(397 * DAYS, 10 * DAYS);
    expect(await bench.story('old')).toEqual(['connected']);
    await bench.pass(1 * DAYS, 1 * DAYS);
    expect(await bench.story('old')).toEqual([]);
  });
});

jest.spyOn(console, 'log').mockImplementation(() => undefined); // knex tells of connections that break

describeOnServer('a worker whose database is away', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('goes on when it is back', async () => {
    const proxy = await startTcpProxy(bench.database.url);
    const worker = await bench.replica({ DATABASE_URL: proxy.url, NODE_ENV: 'production' });
    const [organization = ''] = await connectDue(bench, 1);
    proxy.stop();
    await worker.worker.tick();
    await worker.worker.tick();
    expect(bench.refreshes()).toBe(0);
    expect(bench.logs.filter((line) => line.includes('worker job failed') && JSON.parse(line).level > 40)).toEqual([]);
    proxy.resume();
    await worker.worker.tick();
    expect([bench.refreshes(), (await bench.row(organization)).generation]).toEqual([1, 1]);
    await proxy.close();
  });

  it('keeps an answer that it got meanwhile until it can be saved', async () => {
    const proxy = await startTcpProxy(bench.database.url);
    const worker: Context = await bench.replica({ DATABASE_URL: proxy.url, NODE_ENV: 'production' });
    const [organization = ''] = await connectDue(bench, 1);
    bench.simulator.fail({ on: 'token', kind: 'slow_after', delayMs: 200 });
    const round = worker.worker.tick();
    while (bench.refreshes() === 0) await delay(5);
    proxy.stop();
    setTimeout(() => proxy.resume(), 700);
    await round;
    expect((await bench.row(organization)).generation).toBe(1);
    expect(await bench.use(organization)).toBe(200);
    await proxy.close();
  });
});

/** Connections whose keep-alive is due now. */
async function connectDue(bench: WorkerBench, count: number): Promise<string[]> {
  const organizations = Array.from({ length: count }, (_, index) => `due-${index + 1}`);
  for (const organization of organizations) await bench.connect(organization);
  bench.advance(88 * DAYS);
  bench.simulator.resetCalls();
  return organizations;
}
