import { describe, expect, it } from '@jest/globals';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useHarness } from '../support/harness.ts';
import { connect } from '../support/service.ts';
import { until } from '../support/until.ts';

const DOWN = { on: 'token', kind: 'status', status: 503, times: null } as const;

describeEachDatabase('the recovery of lost connections', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it('reactivates after 10 minutes a connection whose grant is alive, and records it', async () => {
    const realm_id = await harness.connect('false-alarm');
    await harness.lose('false-alarm');
    await harness.runWorker(9 * MINUTES, 1 * MINUTES);
    expect(harness.simulator.calls).toEqual([]);
    await harness.runWorker(2 * MINUTES, 1 * MINUTES);
    expect(harness.refreshes()).toBe(1);
    expect(await harness.row('false-alarm')).toMatchObject({
      is_active: 1,
      deactivation_reason: null,
      recovery_attempts: 0,
    });
    const [{ intuitTid: intuit_tid } = {}] = harness.simulator.callsTo('token');
    expect((await harness.events('false-alarm')).slice(1)).toMatchObject([
      { type: 'lost', reason: 'authorization_revoked', actor: 'service', realm_id },
      { type: 'recovered', reason: null, actor: 'service', realm_id, intuit_tid },
    ]);
    expect(await harness.use('false-alarm')).toBe(200);
  });

  it('retries a rejected connection after 10 minutes, 1, 6 and 24 hours, and purges its tokens after 30 days', async () => {
    const realmId = await harness.connect('gone');
    await harness.lose('gone');
    const lostAt = harness.clock.now().getTime();
    harness.simulator.revokeGrant(realmId);
    await harness.runWorker(26 * HOURS, 10 * MINUTES);
    const attempts = harness.simulator.callsTo('token').map(({ at }) => (at.getTime() - lostAt) / MINUTES);
    expect(attempts).toEqual([10, 60, 360, 1440]);
    await harness.runWorker(28 * DAYS, 4 * DAYS);
    expect((await harness.row('gone')).refresh_token).not.toBe('');
    await harness.runWorker(1 * DAYS, 6 * HOURS);
    expect(harness.simulator.callsTo('token')).toHaveLength(4);
    expect(await harness.row('gone')).toMatchObject({
      access_token: '',
      refresh_token: '',
      token_digest: null,
      next_maintenance_at: null,
    });
    expect(await harness.home.tokens.findCurrent(harness.key('gone'))).toMatchObject({
      state: 'lost',
      reason: 'authorization_revoked',
      realmId,
      tokens: undefined,
    });
    expect(await harness.eventTypes('gone')).toEqual(['connected', 'lost']);
    await harness.disconnect('gone');
    expect([await harness.pendingRevocations(), harness.revocations()]).toEqual([[], 0]); // there is nothing to revoke
  });

  it('counts no attempt while Intuit is unavailable', async () => {
    await harness.connect('patient');
    await harness.lose('patient');
    harness.simulator.fail(DOWN);
    await harness.runWorker(1 * DAYS, 30 * MINUTES);
    expect(harness.refreshes()).toBeGreaterThan(40);
    expect(await harness.row('patient')).toMatchObject({ is_active: 0, recovery_attempts: 0 });
    harness.simulator.clearFaults();
    await harness.runWorker(20 * MINUTES, 1 * MINUTES);
    expect(await harness.row('patient')).toMatchObject({ is_active: 1 });
  });

  it('never retries a connection whose refresh token expired, and purges its tokens after 30 days', async () => {
    await harness.connect('expired');
    harness.clock.advance(102 * DAYS);
    await expect(harness.use('expired')).rejects.toMatchObject({ code: 'reauthorization_required' });
    await harness.runWorker(31 * DAYS, 8 * HOURS);
    expect(harness.refreshes()).toBe(0);
    expect(await harness.row('expired')).toMatchObject({
      refresh_token: '',
      deactivation_reason: 'refresh_token_expired',
    });
  });

  it('does not reactivate a connection that is disconnected meanwhile: both of its grant’s tokens are revoked', async () => {
    const { realmId, finish } = await beginRecovery();
    await harness.disconnect('crossed');
    await finish();
    expect(harness.revocations()).toBe(2);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
    await expectHistory('disconnected');
  });

  it('does not replace a connection to the same company that is made meanwhile, and revokes nothing', async () => {
    const { realmId, finish } = await beginRecovery();
    await connect(harness.service, harness.simulator, 'crossed', { realmId });
    await finish();
    expect(harness.revocations()).toBe(0);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(false);
    await expectHistory('reconnected');
    expect(await harness.use('crossed')).toBe(200);
  });

  it('does not replace a connection to another company that is made meanwhile, and revokes the recovered grant', async () => {
    const { realmId, finish } = await beginRecovery();
    await connect(harness.service, harness.simulator, 'crossed', { realmId: `${realmId}00` });
    await finish();
    expect(harness.revocations()).toBe(2);
    expect(harness.simulator.grantFor(realmId)?.revoked).toBe(true);
    await expectHistory('reconnected');
    expect(await harness.use('crossed')).toBe(200);
  });

  /** Starts a recovery that Intuit has processed and not answered. Returns the company, and how to finish it. */
  async function beginRecovery(): Promise<{ realmId: string; finish: () => Promise<void> }> {
    const realmId = await harness.connect('crossed');
    await harness.lose('crossed');
    const release = harness.simulator.hold({ on: 'token', grantType: 'refresh_token', kind: 'slow_after' });
    harness.clock.advance(10 * MINUTES);
    const tick = harness.home.worker.tick();
    await until(() => harness.refreshes() === 1);
    return {
      realmId,
      finish: async () => {
        release();
        await tick;
      },
    };
  }

  async function expectHistory(last: string): Promise<void> {
    expect(await harness.pendingRevocations()).toEqual([]);
    expect(await harness.eventTypes('crossed')).toEqual(['connected', 'lost', last]);
    expect(
      harness.logs.filter((line) => line.includes('"connection.recovered"') && line.includes('"crossed"')),
    ).toEqual([]);
  }
});

describe('a week without Intuit', () => {
  const harness = useHarness(createSqlite, { isolated: true, frozen: true });

  it('loses no connection, and is reported once for each connection that needed a refresh', async () => {
    const organizations = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const organization of organizations) {
      await harness.connect(organization);
      harness.clock.advance(1 * DAYS);
    }
    harness.clock.advance(82 * DAYS);
    harness.simulator.fail(DOWN);
    await harness.runWorker(7 * DAYS, 2 * HOURS);
    expect(harness.refreshes()).toBeGreaterThan(40);
    harness.simulator.clearFaults();
    await harness.runWorker(1 * HOURS, 1 * MINUTES);
    for (const organization of organizations) {
      expect(await harness.use(organization)).toBe(200);
      expect((await harness.eventTypes(organization)).join()).toMatch(
        /^connected(,refresh_failing,refresh_recovered)?$/,
      );
    }
    expect(await harness.eventTypes('a')).toEqual(['connected', 'refresh_failing', 'refresh_recovered']);
  });

  it('that rejected every token in its last hours leaves every connection alive', async () => {
    await harness.connect('rejected');
    await harness.lose('rejected');
    harness.simulator.fail(DOWN);
    await harness.runWorker(7 * DAYS, 2 * HOURS);
    harness.simulator.clearFaults();
    harness.simulator.fail({ on: 'token', kind: 'invalid_grant', times: null });
    await harness.runWorker(3 * HOURS, 5 * MINUTES);
    harness.simulator.clearFaults();
    await harness.runWorker(1 * DAYS, 10 * MINUTES);
    expect(await harness.eventTypes('rejected')).toEqual(['connected', 'lost', 'recovered']);
  });
});
