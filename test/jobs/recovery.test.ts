import { describe, expect, it } from '@jest/globals';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, useWorkerBench } from '../support/worker-bench.ts';

describeEachDatabase('a lost connection', (createDatabase) => {
  const bench = useWorkerBench(createDatabase);

  it('that was not lost at all is active again after ten minutes, and its recovery is told', async () => {
    const realm_id = await bench.connect('false-alarm');
    await bench.lose('false-alarm');
    await bench.pass(9 * MINUTES, 1 * MINUTES);
    expect(bench.simulator.calls).toEqual([]);
    await bench.pass(2 * MINUTES, 1 * MINUTES);
    expect(bench.refreshes()).toBe(1);
    expect(await bench.row('false-alarm')).toMatchObject({ is_active: 1, deactivation_reason: null, recoveries: 0 });
    const [{ intuitTid: intuit_tid } = {}] = bench.simulator.callsTo('token');
    expect((await bench.events('false-alarm')).slice(1)).toMatchObject([
      { type: 'lost', reason: 'authorization_revoked', actor: 'service', realm_id },
      { type: 'recovered', reason: null, actor: 'service', realm_id, intuit_tid },
    ]);
    expect(await bench.use('false-alarm')).toBe(200);
  });

  it('that Intuit goes on refusing is tried after 10 minutes, 1, 6 and 24 hours, and forgotten after 30 days', async () => {
    const realmId = await bench.connect('gone');
    await bench.lose('gone');
    const lostAt = bench.now.getTime();
    bench.simulator.revokeGrant(realmId);
    await bench.pass(26 * HOURS, 10 * MINUTES);
    const triedAfter = bench.simulator.callsTo('token').map(({ at }) => (at.getTime() - lostAt) / MINUTES);
    expect(triedAfter).toEqual([10, 60, 360, 1440]);
    expect((await bench.row('gone')).refresh_token).not.toBe('');
    await bench.pass(28 * DAYS, 4 * DAYS);
    expect((await bench.row('gone')).refresh_token).not.toBe('');
    await bench.pass(1 * DAYS, 6 * HOURS);
    expect(bench.simulator.callsTo('token')).toHaveLength(4);
    expect(await bench.row('gone')).toMatchObject({ access_token: '', refresh_token: '', next_care_at: null });
    expect(await bench.home.oauthService.status('gone')).toMatchObject({
      lossReason: 'authorization_revoked',
      realmId,
    });
    expect(await bench.story('gone')).toEqual(['connected', 'lost']);
    await bench.disconnect('gone');
    expect([await bench.pending(), bench.revocations()]).toEqual([[], 0]); // nothing is left to be revoked
  });

  it('uses up no try while Intuit is in trouble', async () => {
    await bench.connect('patient');
    await bench.lose('patient');
    bench.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await bench.pass(1 * DAYS, 30 * MINUTES);
    expect(bench.refreshes()).toBeGreaterThan(40);
    expect(await bench.row('patient')).toMatchObject({ is_active: 0, recoveries: 0 });
    bench.simulator.clearFaults();
    await bench.pass(20 * MINUTES, 1 * MINUTES);
    expect(await bench.row('patient')).toMatchObject({ is_active: 1 });
  });

  it('that ran out is never tried', async () => {
    await bench.connect('ran-out');
    bench.advance(102 * DAYS);
    await expect(bench.use('ran-out')).rejects.toMatchObject({ code: 'reauthorization_required' });
    await bench.pass(31 * DAYS, 8 * HOURS);
    expect(bench.refreshes()).toBe(0);
    expect(await bench.row('ran-out')).toMatchObject({
      refresh_token: '',
      deactivation_reason: 'refresh_token_expired',
    });
  });

  it.each([
    ['disconnected', { revocations: 2 }],
    ['connected again', { revocations: 0 }],
    ['connected to another company', { revocations: 2 }],
  ])(
    'that is %s while it is tried stays so, and what came back is revoked unless the company is connected',
    async (what, { revocations }) => {
      const realmId = await bench.connect('crossed');
      await bench.lose('crossed');
      bench.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'slow_after', delayMs: 300 });
      bench.advance(10 * MINUTES);
      const round = bench.home.worker.tick();
      while (bench.refreshes() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      if (what === 'disconnected') await bench.disconnect('crossed');
      else await bench.connect('crossed', what === 'connected again' ? realmId : undefined);
      await round;
      expect(bench.revocations()).toBe(revocations);
      expect(bench.simulator.grantFor(realmId)?.revoked).toBe(revocations > 0);
      expect(await bench.pending()).toEqual([]);
      expect(await bench.story('crossed')).toEqual([
        'connected',
        'lost',
        what === 'disconnected' ? what : 'reconnected',
      ]);
      if (what !== 'disconnected') expect(await bench.use('crossed')).toBe(200);
      expect(bench.logs.join('\n')).not.toMatch(/"event":"recovered","organization_id":"crossed"/);
    },
  );
});

describe('a week without Intuit', () => {
  const bench = useWorkerBench(createSqlite);

  it('loses nothing, and is told once for each connection that needed a renewal', async () => {
    const organizations = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const organization of organizations) {
      await bench.connect(organization);
      bench.advance(1 * DAYS);
    }
    bench.advance(82 * DAYS);
    bench.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await bench.pass(7 * DAYS, 2 * HOURS);
    expect(bench.refreshes()).toBeGreaterThan(40);
    bench.simulator.clearFaults();
    await bench.pass(1 * HOURS, 1 * MINUTES);
    for (const organization of organizations) {
      expect(await bench.use(organization)).toBe(200);
      expect((await bench.story(organization)).join()).toMatch(/^connected(,refresh_failing,refresh_recovered)?$/);
    }
    expect(await bench.story('a')).toEqual(['connected', 'refresh_failing', 'refresh_recovered']);
  });

  it('that answered invalid_grant to everyone in its last hours leaves every connection alive', async () => {
    await bench.connect('refused');
    await bench.lose('refused');
    bench.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    await bench.pass(7 * DAYS, 2 * HOURS);
    bench.simulator.clearFaults();
    bench.simulator.fail({ on: 'token', kind: 'invalid_grant', times: null });
    await bench.pass(3 * HOURS, 5 * MINUTES);
    bench.simulator.clearFaults();
    await bench.pass(1 * DAYS, 10 * MINUTES);
    expect(await bench.story('refused')).toEqual(['connected', 'lost', 'recovered']);
  });
});
