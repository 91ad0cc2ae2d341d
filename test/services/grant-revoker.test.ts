import { expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useWorkerBench } from '../support/worker-bench.ts';

const DOWN = { on: 'revoke', kind: 'status', status: 503, times: null } as const;

describeEachDatabase('a grant that could not be revoked', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  /** Leaves one revocation behind, which failed once. */
  async function fail(organization: string): Promise<string> {
    const realmId = await bench.connect(organization);
    bench.simulator.fail(DOWN);
    await bench.disconnect(organization);
    expect(await bench.pending()).toMatchObject([{ realm_id: realmId, failures: 1 }]);
    bench.simulator.resetCalls();
    return realmId;
  }

  it('is revoked later by another replica, once, and its ciphertext is gone then', async () => {
    const realmId = await fail('later');
    bench.simulator.clearFaults();
    const other = await bench.replica();
    await other.worker.tick();
    expect(bench.revocations()).toBe(0); // not yet due
    await bench.pass(10 * MINUTES, 1 * MINUTES, other);
    expect(bench.simulator.callsTo('revoke')).toMatchObject([
      { token: bench.simulator.grantFor(realmId)?.refreshToken },
    ]);
    expect([await bench.pending(), bench.simulator.grantFor(realmId)?.revoked]).toEqual([[], true]);
  });

  it('is tried with back-off while Intuit is away, and given up after 7 days', async () => {
    await fail('week');
    await bench.pass(12 * HOURS, 20 * MINUTES);
    expect(bench.revocations()).toBeGreaterThanOrEqual(5);
    expect(bench.revocations()).toBeLessThanOrEqual(15);
    await bench.pass(6 * DAYS, 3 * HOURS);
    expect(bench.revocations()).toBeGreaterThanOrEqual(5 + 14);
    expect(bench.revocations()).toBeLessThanOrEqual(15 + 8 * 6);
    expect(await bench.pending()).toHaveLength(1);
    await bench.pass(1 * DAYS, 3 * HOURS);
    expect(await bench.pending()).toEqual([]);
  });

  it('counts as revoked where Intuit answers 400', async () => {
    await fail('gone');
    bench.simulator.clearFaults();
    bench.simulator.fail({ on: 'revoke', kind: 'status', status: 400 });
    await bench.pass(5 * MINUTES, 1 * MINUTES);
    expect([bench.revocations(), await bench.pending()]).toEqual([1, []]);
  });

  it('is forgotten without a call once an active connection uses the company again', async () => {
    const realmId = await fail('leaves');
    await bench.connect('comes', realmId);
    bench.simulator.clearFaults();
    await bench.pass(5 * MINUTES, 1 * MINUTES);
    expect([bench.revocations(), await bench.pending()]).toEqual([0, []]);
    expect(await bench.use('comes')).toBe(200);
  });

  it('is revoked where the company’s other connection is lost', async () => {
    const realmId = await bench.connect('lost');
    await bench.lose('lost');
    await bench.connect('leaves', realmId);
    await bench.disconnect('leaves');
    expect([bench.revocations(), await bench.pending()]).toEqual([1, []]);
  });

  it('is told by its id where no key opens it, and keeps no other from its turn', async () => {
    await fail('poisoned');
    const [{ revocation_id } = { revocation_id: '' }] = await bench.pending();
    await bench.knex('pending_revocations').update({ refresh_token: 'gAAAAAnonsense' as Ciphertext });
    await bench.connect('well');
    await bench.disconnect('well');
    bench.simulator.clearFaults();
    const before = bench.logs.length;
    await bench.pass(10 * MINUTES, 1 * MINUTES);
    expect(bench.revocations()).toBe(2); // the one at once, and the worker's
    expect(await bench.pending()).toMatchObject([{ revocation_id }]);
    const told = bench.logs.slice(before).filter((line) => JSON.parse(line).level >= 50);
    expect(told.length).toBeGreaterThan(0);
    for (const line of told) expect(line).toContain(revocation_id);
  });

  it('may come from a company that did not match, or from a refresh that a disconnect overtook', async () => {
    bench.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    bench.simulator.fail(DOWN);
    await expect(bench.connect('mismatch')).rejects.toMatchObject({ code: 'company_mismatch' });
    await bench.connect('overtaken');
    bench.advance(2 * HOURS);
    bench.simulator.fail({ on: 'token', kind: 'slow_after', delayMs: 300 });
    const used = bench.use('overtaken').catch(({ code }) => code);
    while (bench.refreshes() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await bench.disconnect('overtaken');
    expect(await used).toBe('connection_not_found');
    expect(await bench.pending()).toHaveLength(3); // the refreshed token, and the one before it
    bench.simulator.clearFaults();
    await bench.pass(30 * MINUTES, 1 * MINUTES);
    expect(await bench.pending()).toEqual([]);
    for (const realmId of ['mismatch', 'overtaken'].map(companyOf)) {
      expect(bench.simulator.grantFor(realmId)?.revoked).toBe(true);
    }
  });

  it('was noted in the transaction that ended the connection: a process that dies then forgets nothing', async () => {
    const realmId = await bench.connect('crash');
    bench.simulator.fail({ on: 'revoke', kind: 'hang' });
    const ended = bench.disconnect('crash');
    while (bench.revocations() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await bench.pending()).toMatchObject([{ realm_id: realmId, failures: 0 }]);
    await ended;
  });

  function companyOf(organization: string): string {
    const line = bench.logs.findLast(
      (text) => text.includes(`"organization_id":"${organization}"`) && text.includes('realm_id'),
    );
    return JSON.parse(line ?? '{}').realm_id;
  }
});
