import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, disconnect, status } from '../support/service.ts';
import { until } from '../support/until.ts';

const DISCONNECTED = { success: true, message: 'Disconnected successfully' };

describeEachDatabase('disconnect', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('revokes the refresh token, deletes the ciphertext and makes the status empty', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'once', { realmId: '1' });
    const response = await disconnect(service, 'once');
    expect([response.status, response.body]).toEqual([200, DISCONNECTED]);
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('1')?.refreshToken } }]);
    expect(await harness.rows('once')).toMatchObject([
      { is_active: 0, deactivation_reason: 'disconnected', access_token: '', refresh_token: '', realm_id: '1' },
    ]);
    expect(await status(service, 'once')).toEqual({
      connected: false,
      accounting_system: null,
      realm_id: null,
      company_name: null,
      expires_at: null,
      is_expired: false,
      needs_reauthorization: false,
      reason: null,
      refresh_token_expires_at: null,
      authorization_expires_at: null,
      last_refreshed_at: null,
      last_verified_at: null,
    });
  });

  it('returns the same if repeated, or if there never was a connection', async () => {
    for (const organization of ['once', 'once', 'never']) {
      const response = await disconnect(harness.service, organization);
      expect([response.status, response.body]).toEqual([200, DISCONNECTED]);
    }
    expect(harness.simulator.calls).toEqual([]);
    expect(await harness.rows('never')).toEqual([]);
  });

  it('can alternate with connect any number of times', async () => {
    const { service, simulator } = harness;
    for (let round = 1; round <= 5; round += 1) {
      expect((await connect(service, simulator, 'alternating', { realmId: '2' })).status).toBe(302);
      expect(await harness.activeRows('alternating')).toHaveLength(1);
      expect((await disconnect(service, 'alternating')).body).toEqual(DISCONNECTED);
      expect(await harness.activeRows('alternating')).toHaveLength(0);
      expect(await harness.rows('alternating')).toHaveLength(round);
    }
    expect(harness.revocations()).toBe(5);
  });

  it('revokes only when the last organization of a company disconnects', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'one', { realmId: '3' });
    await connect(service, simulator, 'two', { realmId: '3' });
    await disconnect(service, 'one');
    expect(harness.revocations()).toBe(0);
    expect(await status(service, 'two')).toMatchObject({ connected: true, realm_id: '3' });
    await disconnect(service, 'two');
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('3')?.refreshToken } }]);
  });

  it('revokes although another organization has a lost connection to the company', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'lost', { realmId: '4' });
    await connect(service, simulator, 'last', { realmId: '4' });
    await harness.deactivate('lost');
    await disconnect(service, 'last');
    expect(harness.revocations()).toBe(1);
  });

  it('revokes a lost connection’s refresh token too, and deletes its ciphertext', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'lost-ended', { realmId: '9' });
    await harness.deactivate('lost-ended');
    expect((await disconnect(service, 'lost-ended')).status).toBe(200);
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('9')?.refreshToken } }]);
    expect(await status(service, 'lost-ended')).toMatchObject({
      needs_reauthorization: false,
      realm_id: null,
      reason: null,
    });
    expect(await harness.rows('lost-ended')).toMatchObject([{ access_token: '', refresh_token: '' }]);
  });

  it.each([
    ['is down', { kind: 'status', status: 503 }],
    ['rejects this service', { kind: 'invalid_client' }],
    ['has already revoked the token', { kind: 'status', status: 400 }],
    ['does not respond', { kind: 'hang' }],
  ] as const)('succeeds if Intuit %s', async (_, fault) => {
    const { service, simulator, clock } = harness;
    await connect(service, simulator, 'anyway', { realmId: '5' });
    simulator.fail({ on: 'revoke', ...fault });
    const response = disconnect(service, 'anyway');
    await until(() => harness.revocations() === 1);
    if (fault.kind === 'hang') clock.advance(10 * SECONDS);
    expect([(await response).status, (await response).body]).toEqual([200, DISCONNECTED]);
    expect(harness.revocations()).toBe(1);
    expect(await harness.activeRows('anyway')).toEqual([]);
  });

  it('ends one connection and revokes once if called ten times at once', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'ten', { realmId: '6' });
    const responses = await Promise.all(Array.from({ length: 10 }, () => disconnect(service, 'ten')));
    expect(responses.map(({ body }) => body)).toEqual(Array(10).fill(DISCONNECTED));
    expect(harness.revocations()).toBe(1);
  });

  it('leaves other organizations connected, even if their IDs differ only in case', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'ORG', { realmId: '7' });
    await connect(service, simulator, 'org', { realmId: '8' });
    await disconnect(service, 'ORG');
    expect(await status(service, 'org')).toMatchObject({ connected: true, realm_id: '8' });
  });

  itKeptSecrets(harness);
});
