import { expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { openWithPackage } from '../support/fernet-package.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, disconnect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const EMPTY = '' as Ciphertext;

describeEachDatabase('connecting again', (createDatabase) => {
  const stage = useStage(createDatabase);

  it('to the same company replaces the connection and revokes nothing', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'same', { realmId: '1' });
    await connect(service, simulator, 'same', { realmId: '1' });
    expect(simulator.callsTo('revoke')).toEqual([]);
    const [active, ...others] = await stage.activeRows('same');
    expect(others).toEqual([]);
    expect(openWithPackage(ENCRYPTION_KEY, active?.refresh_token ?? '')).toBe(simulator.grantFor('1')?.refreshToken);
    expect((await stage.rows('same')).filter((row) => row.is_active === 0)).toMatchObject([
      { access_token: '', refresh_token: '', deactivation_reason: 'replaced', deactivated_at: expect.anything() },
    ]);
  });

  it('to another company revokes the earlier one’s grant alone', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'moved', { realmId: '2' });
    await connect(service, simulator, 'moved', { realmId: '3' });
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('2')?.refreshToken } }]);
    expect(simulator.grantFor('3')?.revoked).toBe(false);
    expect(await status(service, 'moved')).toMatchObject({ connected: true, realm_id: '3' });
  });

  it('to another company succeeds though the revocation fails', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'failing', { realmId: '2' });
    simulator.fail({ on: 'revoke', kind: 'status', status: 500 });
    expect((await connect(service, simulator, 'failing', { realmId: '3' })).status).toBe(302);
    expect(simulator.callsTo('revoke')).toHaveLength(1);
  });

  it('revokes nothing where another organization uses the earlier company', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'neighbour', { realmId: '4' });
    await connect(service, simulator, 'leaver', { realmId: '4' });
    await connect(service, simulator, 'leaver', { realmId: '5' });
    expect(simulator.callsTo('revoke')).toEqual([]);
    expect(await status(service, 'neighbour')).toMatchObject({ connected: true, realm_id: '4' });
  });

  it('ten times at once ends with one active connection, whose tokens work', async () => {
    const { service, simulator } = stage;
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => connect(service, simulator, 'ten', { realmId: '6' })),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(302));
    const rows = await stage.rows('ten');
    const [active, ...others] = rows.filter((row) => row.is_active === 1);
    expect([rows.length, others]).toEqual([10, []]);
    expect(rows.filter((row) => row.refresh_token !== '')).toEqual([active]);
    const code = openWithPackage(ENCRYPTION_KEY, active?.access_token ?? '');
    expect(simulator.callsTo('api').map(({ token }) => token)).toContain(code);
  });

  it('ten times at once to ten companies revokes the nine that lost', async () => {
    const { service, simulator } = stage;
    const realms = Array.from({ length: 10 }, (_, index) => String(100 + index));
    await Promise.all(realms.map((realmId) => connect(service, simulator, 'many', { realmId })));
    const { realm_id } = await status(service, 'many');
    expect(realms.filter((realmId) => !simulator.grantFor(realmId)?.revoked)).toEqual([realm_id]);
  });

  it.each(['authorization_revoked', 'rotation_lost', 'refresh_token_expired'] as const)(
    'mends a connection lost by %s, which its status told',
    async (reason) => {
      const { service, simulator } = stage;
      simulator.setCompany('7', 'Seven');
      await connect(service, simulator, reason, { realmId: '7' });
      await stage.lose(reason, reason);
      expect(await status(service, reason)).toEqual({
        connected: false,
        accounting_system: 'quickbooks',
        realm_id: '7',
        company_name: 'Seven',
        expires_at: null,
        is_expired: false,
        needs_reauthorization: true,
        reason,
        refresh_token_expires_at: null,
        last_refreshed_at: null,
      });
      await connect(service, simulator, reason, { realmId: '7' });
      expect(await status(service, reason)).toMatchObject({
        connected: true,
        needs_reauthorization: false,
        reason: null,
      });
      expect(simulator.callsTo('revoke')).toEqual([]);
      const ended = (await stage.rows(reason)).filter((row) => row.is_active === 0);
      expect(ended).toMatchObject([{ access_token: '', refresh_token: '', deactivation_reason: 'replaced' }]);
    },
  );

  it('to another company revokes a lost one’s grant', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'lost-moved', { realmId: '8' });
    await stage.lose('lost-moved');
    await connect(service, simulator, 'lost-moved', { realmId: '9' });
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('8')?.refreshToken } }]);
  });

  it('is not needed to disconnect a lost one: plainly disconnected, revoked, without ciphertext', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'lost-left', { realmId: '10' });
    await stage.lose('lost-left');
    expect((await disconnect(service, 'lost-left')).status).toBe(200);
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('10')?.refreshToken } }]);
    expect(await status(service, 'lost-left')).toMatchObject({
      needs_reauthorization: false,
      realm_id: null,
      reason: null,
    });
    expect(await stage.rows('lost-left')).toMatchObject([{ access_token: '', refresh_token: '' }]);
  });

  it('mends a lost one whose ciphertext was deleted long ago', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'old', { realmId: '11' });
    await stage.lose('old');
    await stage
      .knex('oauth_tokens')
      .where({ organization_id: 'old' })
      .update({ access_token: EMPTY, refresh_token: EMPTY });
    expect((await connect(service, simulator, 'old', { realmId: '12' })).status).toBe(302);
    expect(simulator.callsTo('revoke')).toEqual([]);
  });

  it('works with a connection that an older key encrypted and no key opens any more', async () => {
    const { service, simulator } = stage;
    await connect(service, simulator, 'unreadable', { realmId: '13' });
    await stage
      .knex('oauth_tokens')
      .where({ organization_id: 'unreadable' })
      .update({ refresh_token: 'gAAAAAnonsense' as Ciphertext });
    expect((await connect(service, simulator, 'unreadable', { realmId: '14' })).status).toBe(302);
    expect(simulator.callsTo('revoke')).toEqual([]);
  });

  itKeptSecrets(stage);
});
