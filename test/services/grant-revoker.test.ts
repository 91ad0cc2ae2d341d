import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { codeOf, DAYS, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 10 * SECONDS;
const DOWN = { on: 'revoke', kind: 'status', status: 503, times: null } as const;

describeEachDatabase('a grant that is no longer needed', (createDatabase) => {
  const harness = useHarness(createDatabase, {
    isolated: true,
    frozen: true,
    env: { PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS) },
  });

  it('is revoked at once when its connection is disconnected', async () => {
    const realmId = await harness.connect('leaves');
    await harness.disconnect('leaves');
    const grant = harness.simulator.grantFor(realmId);
    expect(harness.simulator.callsTo('revoke')).toMatchObject([{ token: grant?.refreshToken }]);
    expect([grant?.revoked, await harness.pendingRevocations()]).toEqual([true, []]);
  });

  it('is revoked when its organization connects another company, but not when it connects the same one', async () => {
    const realmId = await harness.connect('moves');
    await harness.connect('moves', realmId);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(false);
    await harness.connect('moves');
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
    expect(await harness.pendingRevocations()).toEqual([]);
  });

  it('is recorded with its connection’s end, so that a process that dies then loses nothing', async () => {
    const realmId = await harness.connect('crash');
    harness.simulator.fail({ on: 'revoke', kind: 'hang' });
    const disconnecting = harness.disconnect('crash');
    await until(() => harness.revocations() === 1);
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: realmId, attempts: 0 }]);
    expect(await harness.rows('crash')).toMatchObject([{ is_active: 0, access_token: '', refresh_token: '' }]);
    harness.clock.advance(TIMEOUT_MS);
    await disconnecting;
    await harness.home.backgroundTasks.drain();
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: realmId, attempts: 1 }]);
  });

  it('counts as revoked if Intuit responds with 400', async () => {
    await fail('gone');
    harness.simulator.fail({ on: 'revoke', kind: 'status', status: 400 });
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([1, []]);
  });

  it('does not count as revoked if Intuit rejects this service', async () => {
    const realmId = await fail('unknown');
    harness.simulator.fail({ on: 'revoke', kind: 'invalid_client' });
    await harness.runWorker(1 * MINUTES, 1 * MINUTES);
    expect(harness.revocations()).toBe(1);
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: realmId, attempts: 2 }]);
  });

  it('is not revoked while an active connection uses its company', async () => {
    const realmId = await harness.connect('stays');
    await harness.connect('leaves', realmId);
    await harness.disconnect('leaves');
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await harness.use('stays')).toBe(200);
  });

  it('is revoked although an unproven connection claims its company', async () => {
    const realmId = await harness.connect('leaves');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 503 });
    await harness.connect('claims', realmId);
    await harness.disconnect('leaves');
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([1, []]);
  });

  it('is not deferred by a callback that only claims its company', async () => {
    const realmId = await fail('leaves');
    const before = await harness.pendingRevocations();
    for (const status of [401, 403, 503]) {
      harness.simulator.fail({ on: 'companyinfo', kind: 'status', status });
      await harness.connect('stranger', realmId).catch(() => undefined);
    }
    expect(await harness.pendingRevocations()).toEqual(before);
  });

  it('is still attempted if no worker ran for 8 days', async () => {
    const realmId = await fail('leaves');
    harness.clock.advance(8 * DAYS);
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([1, []]);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
  });

  it('is forgotten without a call once an active connection uses its company again', async () => {
    const realmId = await fail('leaves');
    await harness.connect('arrives', realmId);
    await harness.runWorker(5 * MINUTES, 1 * MINUTES);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    expect(await harness.use('arrives')).toBe(200);
  });

  it('is revoked if the company’s other connection is lost', async () => {
    const realmId = await harness.connect('lost');
    await harness.lose('lost');
    await harness.connect('leaves', realmId);
    await harness.disconnect('leaves');
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([1, []]);
  });

  it('is revoked, with its successor, if its connection was disconnected during a refresh', async () => {
    const realmId = await harness.connect('overtaken');
    harness.clock.advance(2 * HOURS);
    harness.simulator.fail(DOWN);
    const release = harness.simulator.hold({ on: 'token', kind: 'slow_after' });
    const code = codeOf(harness.use('overtaken'));
    await until(() => harness.refreshes() === 1);
    await harness.disconnect('overtaken');
    release();
    expect(await code).toBe('connection_not_found');
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: realmId }, { realm_id: realmId }]);
    harness.simulator.clearFaults();
    await harness.runWorker(30 * MINUTES, 1 * MINUTES);
    expect(await harness.pendingRevocations()).toEqual([]);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
  });

  /** Disconnects while Intuit cannot revoke. Returns the company. */
  async function fail(organization: string): Promise<string> {
    const realmId = await harness.connect(organization);
    harness.simulator.fail(DOWN);
    await harness.disconnect(organization);
    expect(await harness.pendingRevocations()).toMatchObject([{ realm_id: realmId, attempts: 1 }]);
    harness.simulator.clearFaults();
    harness.simulator.resetCalls();
    return realmId;
  }
});
