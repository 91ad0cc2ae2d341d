import { afterEach, expect, it, jest } from '@jest/globals';
import type { FaultKind } from '../../dev/intuit-simulator/faults.ts';
import type { Context } from '../../src/context.ts';
import { AppError } from '../../src/errors.ts';
import type { ActiveConnection } from '../../src/models/connection.ts';
import type { RefreshResult } from '../../src/services/refresh-result.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { DAYS, HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 10 * SECONDS;
describeEachDatabase('a token refresher', (createDatabase) => {
  const harness = useHarness(createDatabase, { frozen: true, env: { PROVIDER_TIMEOUT_MS: String(TIMEOUT_MS) } });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('holds the lease, but no transaction, while it calls Intuit', async () => {
    await harness.connect('leased');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const refreshing = refresh('leased');
    await until(() => harness.refreshes() === 1);
    expect(await harness.row('leased')).toMatchObject({
      refresh_lease_owner: expect.any(String),
      refresh_started_at: expect.anything(),
      generation: 0,
    });
    await harness.set('leased', { company_name: 'Written meanwhile' });
    release();
    expect(await refreshing).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(await harness.row('leased')).toMatchObject({ company_name: 'Written meanwhile', refresh_lease_owner: null });
  });

  it('saves everything that a response contains', async () => {
    const realmId = await harness.connect('saved');
    const before = await harness.row('saved');
    harness.clock.advance(30 * DAYS);
    expect(await refresh('saved')).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    const grant = harness.simulator.grantFor(realmId);
    expect([await plainTokens('saved'), grant?.accessTokens]).toEqual([
      [grant?.accessTokens[0], grant?.refreshToken],
      [expect.any(String)],
    ]);
    const row = await harness.row('saved');
    expect(new Date(row.access_token_expires_at)).toEqual(fromNow(1 * HOURS));
    expect(new Date(row.refresh_token_expires_at)).toEqual(fromNow(101 * DAYS));
    const authorizationMs = new Date(row.authorization_expires_at ?? 0).getTime() - fromNow(1_795 * DAYS).getTime();
    expect(authorizationMs).toBeLessThanOrEqual(0);
    expect(authorizationMs).toBeGreaterThan(-2 * SECONDS); // the simulator rounds to seconds
    expect(new Date(row.last_refreshed_at ?? 0)).toEqual(harness.clock.now());
    expect(new Date(row.last_verified_at ?? 0)).toEqual(harness.clock.now());
    expect(new Date(row.next_maintenance_at ?? 0)).toEqual(fromNow(87 * DAYS));
    expect(row).toMatchObject({
      token_id: before.token_id,
      generation: before.generation + 1,
      is_active: 1,
      is_refresh_expiry_assumed: 0,
      last_intuit_tid: harness.simulator.callsTo('token')[0]?.intuitTid,
      refresh_lease_owner: null,
      refresh_takeover_owner: null,
      refresh_started_at: null,
      refresh_failures: 0,
      next_refresh_attempt_at: null,
    });
  });

  it('keeps the refresh token that it sent if a response contains none', async () => {
    const realmId = await harness.connect('omitted');
    const sent = harness.simulator.grantFor(realmId)?.refreshToken;
    harness.simulator.fail({ on: 'token', kind: 'omit_refresh_token' });
    await refresh('omitted');
    expect((await plainTokens('omitted'))[1]).toBe(sent);
    harness.clock.advance(2 * HOURS);
    expect(await refresh('omitted')).toMatchObject({ outcome: 'current' });
    expect(harness.simulator.grantFor(realmId)?.accessTokens).toEqual([(await plainTokens('omitted'))[0]]);
  });

  it.each([
    ['numbers', (seconds: number) => seconds],
    ['text', String],
  ])('saves the lifetimes of each response, given as %s', async (_, write) => {
    await harness.connect('lifetimes');
    respondWith({
      expires_in: write(1_800),
      x_refresh_token_expires_in: write(50 * 86_400),
      x_refresh_token_hard_expires_in: write(20 * 86_400),
      token_type: 'bearer',
      of_no_interest: {},
    });
    await refresh('lifetimes');
    const row = await harness.row('lifetimes');
    expect(new Date(row.access_token_expires_at)).toEqual(fromNow(30 * MINUTES));
    expect(new Date(row.refresh_token_expires_at)).toEqual(fromNow(20 * DAYS)); // the earlier of the two
    expect(new Date(row.authorization_expires_at ?? 0)).toEqual(fromNow(20 * DAYS));
  });

  it.each([
    ['its refresh token outlives it', { x_refresh_token_expires_in: 100 * 86_400 }],
    ['contains no lifetime of the refresh token', {}],
  ])('keeps the known end of the authorization if a response does not repeat it and %s', async (_, lifetimes) => {
    await harness.connect('horizon');
    const authorizationEnd = fromNow(10 * DAYS);
    await harness.set('horizon', {
      refresh_token_expires_at: authorizationEnd,
      authorization_expires_at: authorizationEnd,
    });
    respondWith(lifetimes);
    await refresh('horizon');
    const row = await harness.row('horizon');
    expect(new Date(row.authorization_expires_at ?? 0)).toEqual(authorizationEnd);
    expect(new Date(row.refresh_token_expires_at)).toEqual(authorizationEnd);
    expect(row.is_refresh_expiry_assumed).toBe(0); // the end of the authorization is Intuit's own word
  });

  it('assumes a lifetime of 100 days if a response contains none, and marks it as assumed', async () => {
    await harness.connect('assumed');
    await harness.set('assumed', { authorization_expires_at: null });
    harness.clock.advance(50 * DAYS);
    respondWith({});
    await refresh('assumed');
    const row = await harness.row('assumed');
    expect(new Date(row.refresh_token_expires_at)).toEqual(fromNow(100 * DAYS));
    expect(row).toMatchObject({ is_refresh_expiry_assumed: 1, authorization_expires_at: null });
  });

  it('sends a refresh token whose assumed lifetime is over: Intuit decides', async () => {
    const realmId = await harness.connect('doubted');
    await harness.set('doubted', { is_refresh_expiry_assumed: 1, refresh_token_expires_at: fromNow(-1 * DAYS) });
    expect(await refresh('doubted')).toMatchObject({ outcome: 'current' });
    expect(harness.refreshes()).toBe(1);

    await harness.set('doubted', { is_refresh_expiry_assumed: 1, refresh_token_expires_at: fromNow(-1 * DAYS) });
    harness.simulator.revokeGrant(realmId);
    expect(await refresh('doubted')).toMatchObject({
      outcome: 'ended',
      connection: { reason: 'authorization_revoked' },
    });
    expect(harness.refreshes()).toBe(2);
  });

  it('does not send an expired refresh token: the connection is lost, and its tokens are kept', async () => {
    await harness.connect('ended');
    harness.clock.advance(102 * DAYS);
    const connection = await active('ended');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const result = await harness.home.tokenManager.refresh(connection);
      expect(result).toMatchObject({
        outcome: 'ended',
        connection: { state: 'lost', reason: 'refresh_token_expired' },
      });
    }
    expect(await harness.row('ended')).toMatchObject({ is_active: 0, deactivation_reason: 'refresh_token_expired' });
    expect((await harness.row('ended')).refresh_token).not.toBe('');
    expect(harness.refreshes()).toBe(0);
  });

  it('sends a refresh token in the last millisecond before its expiry', async () => {
    await harness.connect('last-moment');
    await harness.set('last-moment', { refresh_token_expires_at: fromNow(1) });
    expect(await refresh('last-moment')).toMatchObject({ outcome: 'current' });
    expect(harness.refreshes()).toBe(1);
  });

  it('marks a connection as lost if Intuit rejects its refresh token', async () => {
    const realmId = await harness.connect('revoked');
    harness.simulator.revokeGrant(realmId);
    expect(await refresh('revoked')).toMatchObject({
      outcome: 'ended',
      connection: { state: 'lost', reason: 'authorization_revoked' },
    });
    const row = await harness.row('revoked');
    expect(row).toMatchObject({
      is_active: 0,
      deactivation_reason: 'authorization_revoked',
      refresh_lease_owner: null,
    });
    expect(row.refresh_token).not.toBe(''); // the worker retries it
    expect(new Date(row.next_maintenance_at ?? 0)).toEqual(fromNow(10 * MINUTES));
    expect(await harness.events('revoked')).toMatchObject([
      { type: 'connected' },
      {
        type: 'lost',
        reason: 'authorization_revoked',
        actor: 'service',
        intuit_tid: harness.simulator.callsTo('token')[0]?.intuitTid,
      },
    ]);
  });

  it.each<[string, FaultKind]>([
    ['breaks off after Intuit processed it', 'drop_after'],
    ['never arrives', 'hang_after'],
    ['is truncated', 'truncate'],
    ['cannot be read', 'html'],
  ])('records an unknown outcome if the response %s, to be retried after 90 seconds', async (_, kind) => {
    await harness.connect(kind);
    harness.simulator.fail({ on: 'token', kind });
    const refreshing = refresh(kind);
    await until(() => harness.refreshes() === 1);
    if (kind === 'hang_after') harness.clock.advance(TIMEOUT_MS);
    expect(await refreshing).toMatchObject({ outcome: 'failed' });
    const row = await harness.row(kind);
    expect(row).toMatchObject({ is_active: 1, refresh_failures: 1, refresh_lease_owner: null });
    expect(new Date(row.refresh_started_at ?? 0)).toEqual(harness.clock.now());
    expect(new Date(row.next_maintenance_at ?? 0)).toEqual(fromNow(90 * SECONDS));
  });

  it('reports rotation_lost if the response to an earlier refresh was never received', async () => {
    await harness.connect('rotated');
    harness.simulator.fail({ on: 'token', kind: 'drop_after' });
    await refresh('rotated');
    await harness.endBackOffs();
    expect(await refresh('rotated')).toMatchObject({ outcome: 'ended', connection: { reason: 'rotation_lost' } });
    expect(await harness.row('rotated')).toMatchObject({ is_active: 0, deactivation_reason: 'rotation_lost' });
  });

  it('reports authorization_revoked if refreshes succeeded after a response that was never received', async () => {
    const realmId = await harness.connect('recovered');
    harness.simulator.fail({ on: 'token', kind: 'drop_before' });
    await refresh('recovered');
    await harness.endBackOffs();
    expect(await refresh('recovered')).toMatchObject({ outcome: 'current' });
    harness.simulator.revokeGrant(realmId);
    expect(await refresh('recovered')).toMatchObject({ connection: { reason: 'authorization_revoked' } });
  });

  it('changes nothing but the back-off if Intuit is unavailable, and does not call it before that is over', async () => {
    await harness.connect('down');
    const before = await harness.row('down');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503 });
    expect(await refresh('down')).toMatchObject({ outcome: 'failed', error: { failure: 'unavailable' } });
    const row = await harness.row('down');
    expect({ ...row, updated_at: before.updated_at }).toEqual({
      ...before,
      refresh_failures: 1,
      next_refresh_attempt_at: row.next_refresh_attempt_at,
    });
    const result = await refresh('down');
    expect(result).toMatchObject({ outcome: 'deferred', cause: 'provider_unavailable' });
    expect(harness.refreshes()).toBe(1);
    await harness.endBackOffs();
    expect(await refresh('down')).toMatchObject({ outcome: 'current' });
    expect(await harness.row('down')).toMatchObject({ refresh_failures: 0, next_refresh_attempt_at: null });
  });

  it('records refresh_failing once, when no valid access token is left, and refresh_recovered after it', async () => {
    await harness.connect('failing');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, times: 3 });
    await refresh('failing');
    expect(await harness.eventTypes('failing')).toEqual(['connected']);
    harness.clock.advance(2 * HOURS);
    await harness.endBackOffs();
    await refresh('failing');
    await harness.endBackOffs();
    await refresh('failing');
    expect(await harness.eventTypes('failing')).toEqual(['connected', 'refresh_failing']);
    await harness.endBackOffs();
    await refresh('failing');
    expect(await harness.eventTypes('failing')).toEqual(['connected', 'refresh_failing', 'refresh_recovered']);
  });

  it('calls Intuit for no connection for 2 seconds after Intuit rejected this service', async () => {
    await harness.connect('rejecting');
    await harness.connect('neighbour');
    const before = await harness.row('rejecting');
    const replica = await harness.replica();
    harness.simulator.fail({ on: 'token', kind: 'invalid_client' });
    expect(await refresh('rejecting', replica)).toMatchObject({ error: { failure: 'application_rejected' } });
    expect(await refresh('neighbour', replica)).toEqual({ outcome: 'deferred', cause: 'provider_error' });
    expect(harness.refreshes()).toBe(1);
    expect({ ...(await harness.row('rejecting')), updated_at: before.updated_at }).toEqual(before);
    harness.clock.advance(2 * SECONDS);
    expect(await refresh('neighbour', replica)).toMatchObject({ outcome: 'current' });
    expect(await refresh('rejecting', replica)).toMatchObject({ outcome: 'current' });
  });

  it('does not call Intuit for one connection for 2 seconds after Intuit rejected its request', async () => {
    await harness.connect('odd');
    await harness.connect('even');
    harness.simulator.fail({ on: 'token', kind: 'invalid_request' });
    expect(await refresh('odd')).toMatchObject({ error: { failure: 'request_rejected' } });
    expect(await refresh('odd')).toEqual({ outcome: 'deferred', cause: 'provider_error' });
    expect(await refresh('even')).toMatchObject({ outcome: 'current' });
    harness.clock.advance(2 * SECONDS);
    expect(await refresh('odd')).toMatchObject({ outcome: 'current' });
  });

  it('attributes a rejection to the user although it could not be recorded at first', async () => {
    const realmId = await harness.connect('revoked');
    harness.simulator.revokeGrant(realmId);
    const markLost = jest
      .spyOn(harness.home.tokens, 'markLost')
      .mockRejectedValue(new AppError('service_unavailable', { detail: 'The database is unavailable.' }));
    await expect(refresh('revoked')).rejects.toMatchObject({ code: 'service_unavailable' });
    markLost.mockRestore();
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('revoked')).toMatchObject({ refresh_lease_owner: null, refresh_started_at: null });
    expect(await refresh('revoked')).toMatchObject({ connection: { reason: 'authorization_revoked' } });
  });

  it('releases a lease whose failed call could not be recorded, as soon as the database is available', async () => {
    await harness.connect('down');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503 });
    const release = jest
      .spyOn(harness.home.refreshes, 'releaseLease')
      .mockRejectedValue(new AppError('service_unavailable', { detail: 'The database is unavailable.' }));
    expect(await refresh('down')).toMatchObject({ outcome: 'failed' });
    release.mockRestore();
    await harness.home.backgroundTasks.drain();
    expect(await harness.row('down')).toMatchObject({ refresh_lease_owner: null, refresh_started_at: null });
  });

  it('logs and counts a call that it did not send because it was too late', async () => {
    await harness.connect('late');
    const strategy = harness.home.strategies.get('quickbooks');
    const tooLate = new ProviderError('unavailable', { isTooLate: true });
    jest.spyOn(strategy, 'refresh').mockRejectedValueOnce(tooLate);
    const before = harness.logs.length;
    expect(await refresh('late')).toEqual({ outcome: 'deferred', cause: 'provider_unavailable' });
    const [line] = harness.logs.slice(before).map((text) => JSON.parse(text));
    expect(line).toMatchObject({ event: 'token.refresh.not_sent', level: 40, organization_id: 'late' });
    const { values } = await harness.home.metrics.refreshes.get();
    expect(values.find(({ labels }) => labels.outcome === 'not_sent')?.value).toBe(1);
    await harness.home.backgroundTasks.drain();
    expect(await refresh('late')).toMatchObject({ outcome: 'current' });
  });

  it('keeps a response until the database accepts it', async () => {
    const realmId = await harness.connect('full');
    const error = new AppError('service_unavailable', { detail: 'The disk is full.' });
    const save = jest
      .spyOn(harness.home.refreshes, 'saveRefreshed')
      .mockRejectedValueOnce(error)
      .mockRejectedValueOnce(error);
    expect(await refresh('full')).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    expect(save).toHaveBeenCalledTimes(3);
    expect(harness.simulator.grantFor(realmId)?.accessTokens.at(-1)).toBe((await plainTokens('full'))[0]);
  });

  it('keeps a response even if saving it fails by an internal fault, which is logged', async () => {
    await harness.connect('fault');
    jest.spyOn(harness.home.refreshes, 'saveRefreshed').mockRejectedValueOnce(new TypeError('a fault of this service'));
    const before = harness.logs.length;
    expect(await refresh('fault')).toMatchObject({ outcome: 'current', connection: { generation: 1 } });
    const errors = harness.logs
      .slice(before)
      .map((line) => JSON.parse(line))
      .filter(({ level }) => level >= 50);
    expect(errors).toMatchObject([{ event: 'token.refresh.save_failed', organization_id: 'fault' }]);
  });

  async function refresh(organization: string, replica: Context = harness.home): Promise<RefreshResult> {
    return replica.tokenManager.refresh(await active(organization));
  }

  async function active(organization: string): Promise<ActiveConnection> {
    const connection = await harness.home.tokens.findCurrent(harness.key(organization));
    expect(connection?.state).toBe('active');
    return connection as ActiveConnection;
  }

  /** The access and refresh token that are stored. */
  async function plainTokens(organization: string): Promise<string[]> {
    const connection = await active(organization);
    const { cipher } = harness.home;
    return [
      cipher.decryptAccessToken(connection, connection.tokens),
      cipher.decryptRefreshToken(connection, connection.tokens),
    ];
  }

  /** The next response of the token endpoint: new tokens with these lifetimes. */
  function respondWith(lifetimes: object): void {
    const body = { access_token: 'eyJcanary', expires_in: 3_600, refresh_token: 'AB11canary', ...lifetimes };
    harness.simulator.fail({ on: 'token', kind: 'json', body });
  }

  function fromNow(milliseconds: number): Date {
    return new Date(harness.clock.now().getTime() + milliseconds);
  }
});
