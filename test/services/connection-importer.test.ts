import { expect, it } from '@jest/globals';
import type { Context } from '../../src/context.ts';
import type { PlainToken, RealmId } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { HOURS, MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { foreignToken } from '../support/imports.ts';
import { status } from '../support/service.ts';
import { until } from '../support/until.ts';

describeEachDatabase('the import of a connection', (createDatabase) => {
  const harness = useHarness(createDatabase, { isolated: true });

  it('stores it, proves it by one refresh and one request for its company, and records the event', async () => {
    const token = await foreignToken(harness.simulator, '77');
    harness.simulator.resetCalls();
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'connected', isKnown: false });
    expect(harness.simulator.calls.map(({ endpoint }) => endpoint)).toEqual(['token', 'api']);
    expect(await status(harness.service, 'acme')).toMatchObject({
      connected: true,
      realm_id: '77',
      company_name: 'Sandbox Company 77',
      last_verified_at: expect.any(String),
      authorization_expires_at: expect.any(String),
    });
    expect(await harness.events('acme')).toMatchObject([{ type: 'imported', actor: 'operator', realm_id: '77' }]);
    expect(await harness.use('acme')).toBe(200);
    const [{ active } = { active: 0 }] = await harness.knex('connection_counts').sum({ active: 'active' });
    expect(Number(active)).toBeGreaterThanOrEqual(1);
  });

  it('stores the token before it is used', async () => {
    const token = await foreignToken(harness.simulator, '77');
    const release = harness.simulator.hold({ on: 'token', kind: 'slow' });
    const importing = importToken('acme', '77', token);
    await until(() => harness.simulator.callsTo('token', 'refresh_token').length > 0);
    const { is_active, last_verified_at, refresh_started_at } = await harness.row('acme');
    expect([is_active, last_verified_at, refresh_started_at]).toEqual([1, null, expect.anything()]);
    release();
    expect(await importing).toMatchObject({ kind: 'connected' });
  });

  it('does nothing when it is repeated, although the token was replaced by its refresh', async () => {
    const token = await foreignToken(harness.simulator, '77');
    await importToken('acme', '77', token);
    const row = await harness.row('acme');
    harness.simulator.resetCalls();
    for (const replaces of [false, true]) {
      expect(await importToken('acme', '77', token, { replaces })).toEqual({ kind: 'connected', isKnown: true });
    }
    expect(await harness.row('acme')).toEqual(row);
    expect(harness.simulator.calls).toEqual([]);
  });

  it('is completed by its repetition, without another refresh, if it was interrupted after the first', async () => {
    const token = await foreignToken(harness.simulator, '72');
    const { release, interrupted } = await interrupt('acme', '72', token);
    const replica = await harness.replica();
    expect(await importToken('acme', '72', token, { replica })).toEqual({ kind: 'connected', isKnown: false });
    expect(harness.refreshes()).toBe(1);
    release();
    await interrupted;
  });

  it('is completed by the worker if it is not repeated', async () => {
    const token = await foreignToken(harness.simulator, '71');
    const { release, interrupted } = await interrupt('acme', '71', token);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: true, last_verified_at: null });
    harness.clock.advance(2 * MINUTES);
    await (await harness.replica()).worker.tick();
    expect(await status(harness.service, 'acme')).toMatchObject({ company_name: 'Sandbox Company 71' });
    release();
    await advanceUntilSettled(interrupted);
  });

  it('skips an organization that is connected, unless it replaces the connection', async () => {
    await harness.connect('acme', '70');
    const before = await harness.row('acme');
    const token = await foreignToken(harness.simulator, '77');
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'skipped' });
    expect(await harness.row('acme')).toEqual(before);
    expect(await importToken('acme', '77', token, { replaces: true })).toEqual({ kind: 'connected', isKnown: false });
    expect(await harness.eventTypes('acme')).toEqual(['connected', 'imported']);
    expect(harness.simulator.grantFor('70')).toMatchObject({ revoked: true });
    expect(await harness.activeRows('acme')).toMatchObject([{ realm_id: '77' }]);
  });

  it('replaces a lost connection', async () => {
    await harness.connect('acme', '77');
    await harness.deactivate('acme');
    const token = await foreignToken(harness.simulator, '77');
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'connected', isKnown: false });
  });

  it('fails for a token that the provider rejects, also when it is repeated', async () => {
    const token = await foreignToken(harness.simulator, '77');
    harness.simulator.revokeGrant('77');
    for (let time = 1; time <= 2; time += 1) {
      expect(await importToken('acme', '77', token)).toEqual({
        kind: 'failed',
        reason: expect.stringMatching(/^authorization_revoked: /),
      });
    }
    expect(harness.refreshes()).toBe(1);
    expect(await harness.eventTypes('acme')).toEqual(['imported', 'lost']);
  });

  it('ends a connection whose token is for another company', async () => {
    const token = await foreignToken(harness.simulator, '77');
    const mismatch = { kind: 'failed', reason: expect.stringMatching(/^company_mismatch: /) };
    expect(await importToken('acme', '78', token)).toEqual(mismatch);
    expect(await status(harness.service, 'acme')).toMatchObject({ connected: false, needs_reauthorization: false });
    expect(await harness.eventTypes('acme')).toEqual(['imported', 'company_mismatch']);
    expect(await importToken('acme', '78', token)).toEqual(mismatch);
    const other = await foreignToken(harness.simulator, '79');
    await importToken('acme', '79', other);
    await harness.disconnect('acme');
    expect(await importToken('acme', '79', other)).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/^ended: /),
    });
  });

  it('keeps connections whose companies are denied until one was proven: the settings may be wrong', async () => {
    const replica = await harness.replica();
    for (const realm of ['71', '72']) harness.simulator.setCompany(realm, undefined);
    const tokens = [];
    for (const realm of ['71', '72', '73']) tokens.push(await foreignToken(harness.simulator, realm));
    expect(await importToken('one', '71', tokens[0], { replica })).toEqual({
      kind: 'unproven',
      cause: 'company_denied',
    });
    expect(await status(harness.service, 'one')).toMatchObject({ connected: true });
    expect(await importToken('three', '73', tokens[2], { replica })).toMatchObject({ kind: 'connected' });
    expect(await importToken('two', '72', tokens[1], { replica })).toMatchObject({ kind: 'failed' });
    for (const realm of ['71', '72']) harness.simulator.setCompany(realm, `Company ${realm}`);
    expect(await importToken('one', '71', tokens[0], { replica })).toMatchObject({ kind: 'connected' });
  });

  it('changes nothing about the connection if the provider rejects this service', async () => {
    const token = await foreignToken(harness.simulator, '77');
    harness.simulator.fail({ on: 'token', kind: 'invalid_client' });
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'unproven', cause: 'service_rejected' });
    harness.clock.advance(HOURS); // the cooldown
    expect(await importToken('acme', '77', token)).toMatchObject({ kind: 'connected' });
  });

  it('does not repeat a refresh that the provider rejects as malformed', async () => {
    const token = await foreignToken(harness.simulator, '77');
    harness.simulator.fail({ on: 'token', kind: 'invalid_request' });
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'unproven', cause: 'request_rejected' });
    expect(harness.refreshes()).toBe(1);
  });

  it('reports what ended the connection in its last attempt', async () => {
    const token = await foreignToken(harness.simulator, '77');
    const interruption = new AbortController();
    const { release, interrupted } = await interrupt('acme', '77', token, interruption.signal);
    harness.simulator.revokeGrant('77');
    interruption.abort(); // this attempt is the last
    release();
    expect(await interrupted).toEqual({ kind: 'failed', reason: expect.stringMatching(/^authorization_revoked: /) });
    expect(harness.refreshes()).toBe(2);
  });

  it('does not wait for another attempt once it is interrupted, and is completed by its repetition', async () => {
    const token = await foreignToken(harness.simulator, '77');
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, retryAfter: 120 });
    const interruption = new AbortController();
    const interrupted = importToken('acme', '77', token, { signal: interruption.signal });
    await until(() => harness.refreshes() > 0);
    interruption.abort();
    expect(await interrupted).toEqual({ kind: 'unproven', cause: 'provider_down' });
    expect(harness.refreshes()).toBe(1);
    await harness.endBackOffs();
    expect(await importToken('acme', '77', token)).toEqual({ kind: 'connected', isKnown: false });
  });

  async function importToken(
    organization: string,
    realmId: string,
    token: string | undefined,
    {
      replaces = false,
      replica = harness.home,
      signal,
    }: { replaces?: boolean; replica?: Context; signal?: AbortSignal } = {},
  ) {
    const foreign = { realmId: realmId as RealmId, refreshToken: token as PlainToken };
    return replica.importer.import({ ...harness.key(organization), ...foreign }, { replaces, signal });
  }

  /** Starts an import that waits for its request for the company. */
  async function interrupt(organization: string, realmId: string, token: string, signal?: AbortSignal) {
    harness.simulator.resetCalls();
    const release = harness.simulator.hold({ on: 'companyinfo', kind: 'slow' });
    const interrupted = importToken(organization, realmId, token, signal && { signal });
    await until(() => harness.simulator.callsTo('api').length > 0);
    return { release, interrupted };
  }

  /** Lets the pauses between attempts pass. */
  async function advanceUntilSettled(work: Promise<unknown>): Promise<void> {
    let isSettled = false;
    void work.finally(() => {
      isSettled = true;
    });
    await until(() => {
      harness.clock.advance(6 * SECONDS);
      return isSettled;
    });
  }
});
