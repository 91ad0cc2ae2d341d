import { expect, it } from '@jest/globals';
import type { Ciphertext, PlainToken, RealmId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useHarness } from '../support/harness.ts';

describeEachDatabase('a revocation that failed', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it('is retried later by any replica, once, and its ciphertext is deleted then', async () => {
    const realmId = await fail('later');
    harness.simulator.clearFaults();
    const replica = await harness.replica();
    await replica.worker.tick();
    expect(harness.revocations()).toBe(0); // it is not due yet
    await harness.runWorker(10 * MINUTES, 1 * MINUTES, replica);
    const grant = harness.simulator.grantFor(realmId);
    expect(harness.simulator.callsTo('revoke')).toMatchObject([{ token: grant?.refreshToken }]);
    expect([await harness.pendingRevocations(), grant?.revoked]).toEqual([[], true]);
  });

  it('is executed by one of several workers', async () => {
    await fail('shared');
    harness.simulator.clearFaults();
    const workers = [harness.home, await harness.replica(), await harness.replica()];
    harness.clock.advance(2 * MINUTES);
    await Promise.all(workers.map(({ worker }) => worker.tick()));
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([1, []]);
  });

  it('is retried with back-off while Intuit is unavailable, and abandoned after 7 days', async () => {
    await fail('week');
    await harness.runWorker(12 * HOURS, 20 * MINUTES);
    expect(harness.revocations()).toBeGreaterThanOrEqual(5);
    expect(harness.revocations()).toBeLessThanOrEqual(15);
    await harness.runWorker(6 * DAYS, 3 * HOURS);
    expect(harness.revocations()).toBeGreaterThanOrEqual(5 + 14);
    expect(harness.revocations()).toBeLessThanOrEqual(15 + 8 * 6);
    expect(await harness.pendingRevocations()).toHaveLength(1);
    await harness.runWorker(1 * DAYS, 3 * HOURS);
    expect(await harness.pendingRevocations()).toEqual([]);
    expect(harness.logs.join('\n')).toContain('grant.revocation.abandoned');
  });

  it('is logged by its ID if no key can decrypt it, and delays no other revocation', async () => {
    await fail('unreadable');
    const [{ revocation_id } = { revocation_id: '' }] = await harness.pendingRevocations();
    await harness.knex('pending_revocations').update({ refresh_token: 'gAAAAAnonsense' as Ciphertext });
    await fail('readable');
    harness.simulator.clearFaults();
    const before = harness.logs.length;
    await harness.runWorker(10 * MINUTES, 1 * MINUTES);
    expect(harness.revocations()).toBe(1);
    expect(await harness.pendingRevocations()).toMatchObject([{ revocation_id }]);
    const errors = harness.logs
      .slice(before)
      .map((line) => JSON.parse(line))
      .filter(({ level }) => level >= 50);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toMatchObject({ revocation_id, err: { type: 'InvalidFernetToken' } });
  });

  it.each([
    ['delays no other while those of one company fail', '77' as RealmId, 5, 0],
    ['delays the others once three of unknown companies failed', undefined, 3, 1],
  ])('%s', async (_, realmId, attempts, cooldowns) => {
    const { worker, cipher, revocations } = await harness.replica();
    for (let at = 0; at < 5; at += 1) {
      const refreshToken = cipher.encrypt(`refresh-token-${at}` as PlainToken);
      await revocations.record(
        { organizationId: undefined, system: 'quickbooks', realmId, refreshToken },
        harness.clock.now(),
      );
    }
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
    const before = harness.logs.length;
    await worker.tick();
    expect(harness.revocations()).toBe(attempts);
    const lines = harness.logs.slice(before).filter((line) => line.includes('"event":"worker.cooldown"'));
    expect(lines).toHaveLength(cooldowns);
  });

  /** Disconnects while Intuit cannot revoke. Returns the company. */
  async function fail(organization: string): Promise<string> {
    const realmId = await harness.connect(organization);
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 503, times: null });
    await harness.disconnect(organization);
    const pending = (await harness.pendingRevocations()).find(({ realm_id }) => realm_id === realmId);
    expect(pending).toMatchObject({ attempts: 1 });
    harness.simulator.resetCalls();
    return realmId;
  }
});
