import { describe, expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useWorkerBench } from '../support/worker-bench.ts';

describeEachDatabase('keep-alive', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('refreshes once when 14 days are left, not before', async () => {
    await bench.connect('acme'); // its refresh token lives for 101 days
    const token = (await bench.row('acme')).refresh_token;
    await bench.pass(87 * DAYS - 1 * MINUTES, 29 * DAYS);
    expect(bench.refreshes()).toBe(0);
    await bench.pass(2 * MINUTES, 30_000);
    expect(bench.refreshes()).toBe(1);
    const row = await bench.row('acme');
    expect(row.refresh_token).not.toBe(token);
    expect(new Date(row.refresh_token_expires_at).getTime() - bench.now.getTime()).toBeGreaterThan(100 * DAYS);
    await bench.pass(86 * DAYS, 1 * DAYS);
    expect(bench.refreshes()).toBe(1);
    expect(await bench.story('acme')).toEqual(['connected']); // renewals that succeed are not events
  });

  it('leaves alone what was used meanwhile', async () => {
    await bench.connect('busy');
    bench.advance(80 * DAYS);
    expect(await bench.use('busy')).toBe(200);
    await bench.pass(80 * DAYS, 8 * DAYS);
    expect(bench.refreshes()).toBe(1);
  });

  it('reads the name of a company that could not be read when it was connected', async () => {
    bench.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503, times: 2 });
    const realmId = await bench.connect('unnamed');
    expect(await bench.row('unnamed')).toMatchObject({ company_name: null });
    await bench.pass(2 * MINUTES, 1 * MINUTES); // meets the second 503
    expect(await bench.row('unnamed')).toMatchObject({ company_name: null });
    await bench.pass(30 * MINUTES, 1 * MINUTES);
    expect(await bench.row('unnamed')).toMatchObject({ company_name: `Sandbox Company ${realmId}` });
    const calls = bench.simulator.callsTo('api').length;
    await bench.pass(2 * HOURS, 10 * MINUTES);
    expect(bench.simulator.callsTo('api')).toHaveLength(calls);
  });

  it('does not ask without end for the name of a company that has none', async () => {
    bench.simulator.fail({ on: 'companyinfo', kind: 'json', body: {}, times: null });
    await bench.connect('nameless');
    await bench.pass(3 * HOURS, 1 * MINUTES);
    expect(bench.simulator.callsTo('api').length).toBeLessThanOrEqual(5);
  });

  it('tells of a row that no key opens by its id, and cares for the others', async () => {
    for (const name of ['poisoned', 'b', 'c']) await bench.connect(name);
    await bench.set('poisoned', { refresh_token: 'gAAAAAnonsense' as Ciphertext });
    const before = bench.logs.length;
    await bench.pass(88 * DAYS, 88 * DAYS);
    await bench.pass(6 * HOURS, 1 * HOURS);
    expect(bench.refreshes()).toBe(2);
    const { token_id } = await bench.row('poisoned');
    const told = bench.logs.slice(before).filter((line) => JSON.parse(line).level >= 50 && line.includes(token_id));
    expect(told.length).toBeGreaterThanOrEqual(1);
    expect(told.length).toBeLessThanOrEqual(2); // it does not hog the worker
    expect(await bench.row('poisoned')).toMatchObject({ is_active: 1 });
  });
});

describe('the five-year end', () => {
  const bench = useWorkerBench(createSqlite);

  it('leaves a connection that nobody used for three years alive', async () => {
    await bench.connect('unused');
    await bench.pass(3 * 365 * DAYS, 1 * DAYS);
    expect(bench.refreshes()).toBeLessThanOrEqual(13);
    expect(await bench.use('unused')).toBe(200);
    expect(await bench.story('unused')).toEqual([]); // `connected` is older than 400 days
  });

  it('is told once 30 days before it, whatever is refreshed and restarted, and then met', async () => {
    bench.simulator.settings.hardSeconds = (150 * DAYS) / 1_000;
    const realm_id = await bench.connect('old');
    await bench.pass(120 * DAYS - 1 * HOURS, 5 * DAYS);
    expect([await bench.story('old'), bench.refreshes()]).toEqual([['connected'], 1]);
    await bench.pass(2 * HOURS, 1 * HOURS);
    expect(await bench.story('old')).toEqual(['connected', 'expiring']);
    expect(bench.logs.filter((line) => line.includes('"event":"expiring"'))).toHaveLength(1);

    expect(await bench.use('old')).toBe(200);
    const restarted = await bench.replica();
    bench.simulator.resetCalls();
    await bench.pass(30 * DAYS - 2 * HOURS, 3 * HOURS, restarted);
    expect(await bench.story('old')).toEqual(['connected', 'expiring']);
    expect(bench.refreshes()).toBeLessThanOrEqual(15); // once a day in its last 14
    await bench.pass(2 * DAYS, 6 * HOURS, restarted);
    expect(await bench.events('old')).toMatchObject([
      { type: 'connected', actor: 'billing', realm_id },
      { type: 'expiring', actor: 'service', realm_id, reason: null },
      { type: 'lost', actor: 'service', realm_id, reason: 'refresh_token_expired', intuit_tid: null },
    ]);
  });

  it('that is past already is met without a call, and told as refresh_token_expired alone', async () => {
    bench.simulator.settings.hardSeconds = (150 * DAYS) / 1_000;
    await bench.connect('past');
    bench.simulator.resetCalls();
    bench.advance(160 * DAYS);
    await bench.home.worker.tick();
    expect(bench.simulator.calls).toEqual([]);
    expect(await bench.story('past')).toEqual(['connected', 'lost']);
    expect(await bench.row('past')).toMatchObject({ is_active: 0, deactivation_reason: 'refresh_token_expired' });
  });
});
