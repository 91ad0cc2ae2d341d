import { expect, it } from '@jest/globals';
import { describeEachDatabase } from '../support/databases.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, disconnect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const DONE = { success: true, message: 'Disconnected successfully' };

describeEachDatabase('disconnecting', (createDatabase) => {
  const stage = useStage(createDatabase, { PROVIDER_TIMEOUT_MS: '2000' });

  it('revokes the refresh token, leaves no ciphertext and tells nothing of the connection', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'once', { realmId: '1' });
    const answer = await disconnect(service, 'once');
    expect([answer.status, answer.body]).toEqual([200, DONE]);
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('1')?.refreshToken } }]);
    expect(await stage.rows('once')).toMatchObject([
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
      last_refreshed_at: null,
    });
  });

  it('answers the same again, and where there never was a connection', async () => {
    for (const organization of ['once', 'once', 'never']) {
      const answer = await disconnect(stage.service, organization);
      expect([answer.status, answer.body]).toEqual([200, DONE]);
    }
    expect(stage.simulator.calls).toEqual([]);
    expect(await stage.rows('never')).toEqual([]);
  });

  it('takes turns with connecting as often as one likes', async () => {
    for (let turn = 1; turn <= 5; turn += 1) {
      expect((await connect(stage.service, stage.simulator, 'turns', { realmId: '2' })).status).toBe(302);
      expect(await stage.activeRows('turns')).toHaveLength(1);
      expect((await disconnect(stage.service, 'turns')).body).toEqual(DONE);
      expect(await stage.activeRows('turns')).toHaveLength(0);
      expect(await stage.rows('turns')).toHaveLength(turn);
    }
    expect(stage.simulator.callsTo('revoke')).toHaveLength(5);
  });

  it('revokes when the last organization leaves a company, not before', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'one', { realmId: '3' });
    await connect(service, simulator, 'two', { realmId: '3' });
    await disconnect(service, 'one');
    expect(simulator.callsTo('revoke')).toEqual([]);
    expect(await status(service, 'two')).toMatchObject({ connected: true, realm_id: '3' });
    await disconnect(service, 'two');
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('3')?.refreshToken } }]);
  });

  it('takes a lost connection of another organization for none', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'lost', { realmId: '4' });
    await connect(service, simulator, 'last', { realmId: '4' });
    await stage.lose('lost');
    await disconnect(service, 'last');
    expect(simulator.callsTo('revoke')).toHaveLength(1);
  });

  it.each([
    ['is down', { kind: 'status', status: 503 }],
    ['refuses this service', { kind: 'invalid_client' }],
    ['says the token is gone', { kind: 'status', status: 400 }],
    ['hangs', { kind: 'hang' }],
  ] as const)('succeeds although Intuit %s', async (_, fault) => {
    await connect(stage.service, stage.simulator, 'anyway', { realmId: '5' });
    stage.simulator.fail({ on: 'revoke', ...fault });
    const answer = await disconnect(stage.service, 'anyway');
    expect([answer.status, answer.body]).toEqual([200, DONE]);
    expect(stage.simulator.callsTo('revoke')).toHaveLength(1);
    expect(await stage.activeRows('anyway')).toEqual([]);
  });

  it('ten times at once ends one connection and revokes once', async () => {
    await connect(stage.service, stage.simulator, 'ten', { realmId: '6' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => disconnect(stage.service, 'ten')));
    expect(answers.map(({ body }) => body)).toEqual(Array(10).fill(DONE));
    expect(stage.simulator.callsTo('revoke')).toHaveLength(1);
  });

  it('leaves other organizations alone, ORG and org among them', async () => {
    await connect(stage.service, stage.simulator, 'ORG', { realmId: '7' });
    await connect(stage.service, stage.simulator, 'org', { realmId: '8' });
    await disconnect(stage.service, 'ORG');
    expect(await status(stage.service, 'org')).toMatchObject({ connected: true, realm_id: '8' });
  });

  itKeptSecrets(stage);
});
