import { describe, expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';

const UNAVAILABLE = { kind: 'status', status: 503 } as const;

describeEachDatabase('the maintenance of active connections', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true, frozen: true });

  it('refreshes once when 14 days are left, not earlier', async () => {
    await harness.connect('acme'); // its refresh token is valid for 101 days
    const { refresh_token } = await harness.row('acme');
    await harness.runWorker(87 * DAYS - 1 * MINUTES, 29 * DAYS);
    expect(harness.refreshes()).toBe(0);
    await harness.runWorker(2 * MINUTES, 30 * SECONDS);
    expect(harness.refreshes()).toBe(1);
    const row = await harness.row('acme');
    expect(row.refresh_token).not.toBe(refresh_token);
    expect(new Date(row.refresh_token_expires_at)).toEqual(fromNow(101 * DAYS - 1 * MINUTES));
    await harness.runWorker(86 * DAYS, 1 * DAYS);
    expect(harness.refreshes()).toBe(1);
    expect(await harness.eventTypes('acme')).toEqual(['connected']); // successful refreshes are not events
  });

  it('does not refresh a connection that was refreshed by its use', async () => {
    await harness.connect('used');
    harness.clock.advance(80 * DAYS);
    expect(await harness.use('used')).toBe(200);
    await harness.runWorker(80 * DAYS, 8 * DAYS);
    expect(harness.refreshes()).toBe(1);
  });

  it('is done by one of several workers', async () => {
    for (const organization of ['a', 'b', 'c']) await harness.connect(organization);
    const workers = [harness.home, await harness.replica(), await harness.replica()];
    harness.clock.advance(88 * DAYS);
    await Promise.all(workers.map(({ worker }) => worker.tick()));
    expect(harness.refreshes()).toBe(3);
  });

  it('refreshes a connection again 90 seconds after a refresh of unknown outcome', async () => {
    await harness.connect('unknown');
    harness.clock.advance(2 * HOURS);
    harness.simulator.fail({ on: 'token', kind: 'drop_before' });
    await expect(harness.use('unknown')).rejects.toMatchObject({ code: 'provider_unavailable' });
    await harness.runWorker(89 * SECONDS, 89 * SECONDS);
    expect(harness.refreshes()).toBe(1);
    await harness.runWorker(1 * SECONDS, 1 * SECONDS);
    expect(harness.refreshes()).toBe(2);
    expect(await harness.row('unknown')).toMatchObject({ refresh_started_at: null, refresh_failures: 0 });
  });

  it('retries a connection whose provider is unavailable after 10 minutes', async () => {
    await harness.connect('down');
    harness.clock.advance(88 * DAYS);
    harness.simulator.fail({ on: 'token', ...UNAVAILABLE });
    await harness.home.worker.tick();
    await harness.runWorker(9 * MINUTES, 1 * MINUTES);
    expect(harness.refreshes()).toBe(1);
    await harness.runWorker(1 * MINUTES, 1 * MINUTES);
    expect(harness.refreshes()).toBe(2);
  });

  it('reads the name of a company that could not be read when it was connected', async () => {
    harness.simulator.fail({ on: 'companyinfo', ...UNAVAILABLE, times: 2 });
    const realmId = await harness.connect('unnamed');
    expect(await harness.row('unnamed')).toMatchObject({ company_name: null, last_verified_at: null });
    await harness.runWorker(2 * MINUTES, 1 * MINUTES);
    expect(harness.simulator.callsTo('api')).toMatchObject([{ status: 503 }]);
    expect(await harness.row('unnamed')).toMatchObject({ company_name: null, last_verified_at: null });
    await harness.runWorker(30 * MINUTES, 1 * MINUTES);
    const row = await harness.row('unnamed');
    expect(row).toMatchObject({ company_name: `Sandbox Company ${realmId}`, last_verified_at: expect.anything() });
    await harness.runWorker(2 * HOURS, 10 * MINUTES);
    expect(harness.simulator.callsTo('api')).toHaveLength(2);
  });

  it('refreshes an expired token to read the company’s name', async () => {
    harness.simulator.fail({ on: 'companyinfo', ...UNAVAILABLE });
    const realmId = await harness.connect('late');
    harness.clock.advance(2 * HOURS);
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(1);
    expect(await harness.row('late')).toMatchObject({ company_name: `Sandbox Company ${realmId}` });
  });

  it('ends an unproven connection if Intuit denies it the company, without a revocation', async () => {
    harness.simulator.fail({ on: 'companyinfo', ...UNAVAILABLE });
    const realmId = await harness.connect('denied');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    await harness.runWorker(1 * MINUTES, 1 * MINUTES);
    expect(await harness.rows('denied')).toMatchObject([
      { is_active: 0, deactivation_reason: 'disconnected', access_token: '', refresh_token: '', token_digest: null },
    ]);
    expect(await harness.home.oauthService.status(harness.key('denied'))).toBeUndefined();
    expect(await harness.events('denied')).toMatchObject([
      { type: 'connected' },
      {
        type: 'company_mismatch',
        actor: 'service',
        realm_id: realmId,
        intuit_tid: harness.simulator.callsTo('api')[0]?.intuitTid,
      },
    ]);
    expect([harness.revocations(), await harness.pendingRevocations()]).toEqual([0, []]);
    await harness.runWorker(2 * DAYS, 1 * HOURS);
    expect(harness.simulator.calls).toHaveLength(1);
  });

  it('ends an unproven connection if Intuit denies it the company after its token was refreshed', async () => {
    harness.simulator.fail({ on: 'companyinfo', ...UNAVAILABLE });
    await harness.connect('late-denied');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403 });
    harness.clock.advance(2 * HOURS);
    await harness.home.worker.tick();
    expect(harness.refreshes()).toBe(1);
    expect(await harness.eventTypes('late-denied')).toEqual(['connected', 'company_mismatch']);
    expect(await harness.activeRows('late-denied')).toEqual([]);
  });

  it('keeps a proven connection whose company has no name, and asks for it only at its next verification', async () => {
    harness.simulator.fail({ on: 'companyinfo', kind: 'json', body: { CompanyInfo: {} }, times: null });
    await harness.connect('nameless');
    await harness.runWorker(3 * HOURS, 1 * MINUTES);
    expect(harness.simulator.callsTo('api')).toEqual([]);
    const row = await harness.row('nameless');
    expect(row).toMatchObject({ is_active: 1, company_name: null, last_verified_at: expect.anything() });
  });

  it('logs a row that no key can decrypt by its ID, and maintains the others', async () => {
    for (const name of ['unreadable', 'b', 'c']) await harness.connect(name);
    await harness.set('unreadable', { refresh_token: 'gAAAAAnonsense' as Ciphertext });
    const before = harness.logs.length;
    await harness.runWorker(88 * DAYS, 88 * DAYS);
    expect(harness.refreshes()).toBe(2);
    const { token_id } = await harness.row('unreadable');
    const errors = () =>
      harness.logs
        .slice(before)
        .map((line) => JSON.parse(line))
        .filter(({ event }) => event === 'maintenance.failed');
    expect(errors()).toMatchObject([{ level: 50, token_id, err: { type: 'TokenBindingError' } }]);
    await harness.runWorker(5 * HOURS, 1 * HOURS);
    expect(errors()).toHaveLength(1); // retried after 6 hours
    await harness.runWorker(1 * HOURS, 1 * HOURS);
    expect(errors()).toHaveLength(2);
    expect(await harness.row('unreadable')).toMatchObject({ is_active: 1 });
  });

  function fromNow(milliseconds: number): Date {
    return new Date(harness.clock.now().getTime() + milliseconds);
  }
});

describe('the end of an authorization', () => {
  const harness = useHarness(createSqlite, { isolated: true, frozen: true });

  it('is not near for a connection that was not used for three years', async () => {
    await harness.connect('unused');
    await harness.runWorker(3 * 365 * DAYS, 1 * DAYS);
    expect(harness.refreshes()).toBeLessThanOrEqual(13);
    expect(await harness.use('unused')).toBe(200);
    expect(await harness.eventTypes('unused')).toEqual([]); // `connected` is older than 400 days
  });

  it('is notified 30 and 7 days before it, once each, and ends the connection', async () => {
    harness.simulator.settings.hardSeconds = (150 * DAYS) / 1_000;
    const realm_id = await harness.connect('old');
    await harness.runWorker(120 * DAYS - 1 * HOURS, 5 * DAYS);
    expect([await harness.eventTypes('old'), harness.refreshes()]).toEqual([['connected'], 1]);
    await harness.runWorker(2 * HOURS, 1 * HOURS);
    expect(await harness.eventTypes('old')).toEqual(['connected', 'expiring']);
    expect(harness.logs.filter((line) => line.includes('"event":"connection.expiring"'))).toHaveLength(1);

    expect(await harness.use('old')).toBe(200);
    const restarted = await harness.replica();
    harness.simulator.resetCalls();
    await harness.runWorker(30 * DAYS - 2 * HOURS, 3 * HOURS, restarted);
    expect(await harness.eventTypes('old')).toEqual(['connected', 'expiring', 'expiring']);
    expect(harness.refreshes()).toBeLessThanOrEqual(15); // once a day in its last 14
    await harness.runWorker(2 * DAYS, 6 * HOURS, restarted);
    expect(await harness.events('old')).toMatchObject([
      { type: 'connected', actor: 'billing', realm_id },
      { type: 'expiring', actor: 'service', realm_id, reason: 'within_30_days' },
      { type: 'expiring', actor: 'service', realm_id, reason: 'within_7_days' },
      { type: 'lost', actor: 'service', realm_id, reason: 'refresh_token_expired', intuit_tid: null },
    ]);
  });

  it('that is past already ends the connection without a call and without a notice', async () => {
    harness.simulator.settings.hardSeconds = (150 * DAYS) / 1_000;
    await harness.connect('past');
    harness.clock.advance(160 * DAYS);
    await harness.home.worker.tick();
    expect(harness.simulator.calls).toEqual([]);
    expect(await harness.eventTypes('past')).toEqual(['connected', 'lost']);
    expect(await harness.row('past')).toMatchObject({ is_active: 0, deactivation_reason: 'refresh_token_expired' });
  });
});

describe('the verification of idle connections', () => {
  const harness = useHarness(createSqlite, { isolated: true, frozen: true, env: { VERIFY_IDLE_HOURS: '24' } });

  it('refreshes a connection that Intuit has not accepted for a day, and reads its company’s name again', async () => {
    await harness.connect('idle');
    harness.simulator.fail({ on: 'companyinfo', kind: 'json', body: { CompanyInfo: { CompanyName: 'Renamed' } } });
    await harness.runWorker(23 * HOURS, 1 * HOURS);
    expect(harness.simulator.calls).toEqual([]);
    await harness.runWorker(1 * HOURS, 1 * HOURS);
    expect([harness.refreshes(), harness.simulator.callsTo('api').length]).toEqual([1, 1]);
    const row = await harness.row('idle');
    expect(row).toMatchObject({ company_name: 'Renamed', generation: 1 });
    expect(new Date(row.last_verified_at ?? 0)).toEqual(harness.clock.now());
    await harness.runWorker(23 * HOURS, 1 * HOURS);
    expect(harness.refreshes()).toBe(1);
  });

  it('reports within a day that a grant ended inside QuickBooks', async () => {
    const realmId = await harness.connect('ended');
    harness.simulator.revokeGrant(realmId);
    await harness.runWorker(24 * HOURS, 1 * HOURS);
    expect(await harness.eventTypes('ended')).toEqual(['connected', 'lost']);
    expect((await harness.events('ended')).at(-1)).toMatchObject({ reason: 'authorization_revoked' });
  });

  it('leaves a connection alone that is refreshed by its callers', async () => {
    await harness.connect('used');
    for (let hour = 0; hour < 72; hour += 2) {
      await harness.runWorker(2 * HOURS, 2 * HOURS);
      expect(await harness.use('used')).toBe(200);
    }
    expect(harness.simulator.callsTo('api').filter(({ path }) => path.includes('companyinfo'))).toEqual([]);
  });

  it('reads the company’s name once a week if the connection is refreshed by its callers', async () => {
    await harness.connect('used');
    harness.simulator.fail({ on: 'companyinfo', kind: 'json', body: { CompanyInfo: { CompanyName: 'Renamed' } } });
    for (let hour = 0; hour < 15 * 24; hour += 12) {
      await harness.runWorker(12 * HOURS, 12 * HOURS);
      expect(await harness.use('used')).toBe(200);
      if (hour === 6 * 24) expect(namesRead()).toBe(0);
      if (hour === 8 * 24) expect(await harness.row('used')).toMatchObject({ company_name: 'Renamed' });
    }
    expect(namesRead()).toBe(2);
  });

  it('keeps a connection whose grant is alive although Intuit denies it the company, and asks again a day later', async () => {
    await harness.connect('denied');
    harness.simulator.fail({ on: 'companyinfo', kind: 'status', status: 403, times: 100 });
    await harness.runWorker(24 * HOURS, 1 * HOURS);
    expect(await harness.row('denied')).toMatchObject({ is_active: 1, generation: 1 });
    expect(harness.logs.some((line) => line.includes('maintenance.company_rejected'))).toBe(true);
    await harness.runWorker(23 * HOURS, 1 * HOURS);
    expect(namesRead()).toBe(1);
    await harness.runWorker(9 * 24 * HOURS, 1 * HOURS);
    expect(namesRead()).toBe(10);
  });

  function namesRead(): number {
    return harness.simulator.callsTo('api').filter(({ path }) => path.includes('companyinfo')).length;
  }
});
