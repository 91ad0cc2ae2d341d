import { expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { ENCRYPTION_KEY } from '../support/environment.ts';
import { decryptWithPackage } from '../support/fernet-package.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, status } from '../support/service.ts';

describeEachDatabase('connecting again', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('to the same company replaces the connection and revokes nothing', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'same', { realmId: '1' });
    await connect(service, simulator, 'same', { realmId: '1' });
    expect(harness.revocations()).toBe(0);
    const [active, ...others] = await harness.activeRows('same');
    expect(others).toEqual([]);
    expect(decryptWithPackage(ENCRYPTION_KEY, active?.refresh_token ?? '')).toBe(simulator.grantFor('1')?.refreshToken);
    expect((await harness.rows('same')).filter((row) => row.is_active === 0)).toMatchObject([
      { access_token: '', refresh_token: '', deactivation_reason: 'replaced', deactivated_at: expect.anything() },
    ]);
  });

  it('to another company revokes only the previous company’s grant', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'moved', { realmId: '2' });
    await connect(service, simulator, 'moved', { realmId: '3' });
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('2')?.refreshToken } }]);
    expect(simulator.grantFor('3')?.revoked).toBe(false);
    expect(await status(service, 'moved')).toMatchObject({ connected: true, realm_id: '3' });
  });

  it('to another company succeeds even if the revocation fails', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'failing', { realmId: '2' });
    simulator.fail({ on: 'revoke', kind: 'status', status: 500 });
    expect((await connect(service, simulator, 'failing', { realmId: '3' })).status).toBe(302);
    expect(harness.revocations()).toBe(1);
  });

  it('to another company revokes nothing if another organization uses the previous one', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'neighbour', { realmId: '4' });
    await connect(service, simulator, 'leaver', { realmId: '4' });
    await connect(service, simulator, 'leaver', { realmId: '5' });
    expect(harness.revocations()).toBe(0);
    expect(await status(service, 'neighbour')).toMatchObject({ connected: true, realm_id: '4' });
  });

  it('ten times at once leaves one active connection, whose tokens work', async () => {
    const { service, simulator } = harness;
    const responses = await Promise.all(
      Array.from({ length: 10 }, () => connect(service, simulator, 'ten', { realmId: '6' })),
    );
    expect(responses.map((response) => response.status)).toEqual(Array(10).fill(302));
    const rows = await harness.rows('ten');
    const [active, ...others] = rows.filter((row) => row.is_active === 1);
    expect([rows.length, others]).toEqual([10, []]);
    expect(rows.filter((row) => row.refresh_token !== '')).toEqual([active]);
    const accessToken = decryptWithPackage(ENCRYPTION_KEY, active?.access_token ?? '');
    expect(simulator.callsTo('api').map(({ token }) => token)).toContain(accessToken);
  });

  it('ten times at once to ten companies revokes the nine grants that were replaced', async () => {
    const { service, simulator } = harness;
    const realms = Array.from({ length: 10 }, (_, index) => String(100 + index));
    await Promise.all(realms.map((realmId) => connect(service, simulator, 'many', { realmId })));
    const { realm_id } = await status(service, 'many');
    expect(realms.filter((realmId) => !simulator.grantFor(realmId)?.revoked)).toEqual([realm_id]);
  });

  it.each(['authorization_revoked', 'rotation_lost', 'refresh_token_expired'] as const)(
    'restores a connection that was lost with the reason %s, which its status reported',
    async (reason) => {
      const { service, simulator } = harness;
      simulator.setCompany('7', 'Seven');
      await connect(service, simulator, reason, { realmId: '7' });
      await harness.deactivate(reason, reason);
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
        authorization_expires_at: null,
        last_refreshed_at: null,
        last_verified_at: null,
      });
      await connect(service, simulator, reason, { realmId: '7' });
      expect(await status(service, reason)).toMatchObject({
        connected: true,
        needs_reauthorization: false,
        reason: null,
      });
      expect(harness.revocations()).toBe(0);
      const ended = (await harness.rows(reason)).filter((row) => row.is_active === 0);
      expect(ended).toMatchObject([{ access_token: '', refresh_token: '', deactivation_reason: 'replaced' }]);
    },
  );

  it('to another company revokes a lost connection’s grant', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'lost-moved', { realmId: '8' });
    await harness.deactivate('lost-moved');
    await connect(service, simulator, 'lost-moved', { realmId: '9' });
    expect(simulator.callsTo('revoke')).toMatchObject([{ body: { token: simulator.grantFor('8')?.refreshToken } }]);
  });

  it('replaces a lost connection whose ciphertext was deleted', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'purged', { realmId: '11' });
    await harness.deactivate('purged');
    await harness.set('purged', { access_token: '', refresh_token: '', token_digest: null });
    expect((await connect(service, simulator, 'purged', { realmId: '12' })).status).toBe(302);
    expect(harness.revocations()).toBe(0);
  });

  it('replaces a connection whose ciphertext no key can decrypt any more', async () => {
    const { service, simulator } = harness;
    await connect(service, simulator, 'unreadable', { realmId: '13' });
    await harness.set('unreadable', { refresh_token: 'gAAAAAnonsense' as Ciphertext });
    expect((await connect(service, simulator, 'unreadable', { realmId: '14' })).status).toBe(302);
    expect(harness.revocations()).toBe(0);
  });

  itKeptSecrets(harness);
});
