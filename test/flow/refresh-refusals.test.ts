import { describe, expect, it } from '@jest/globals';
import type { FaultKind } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError, expire, refreshes } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const LOST = { connected: false, needs_reauthorization: true };

describe('a refresh that Intuit refuses', () => {
  const stage = useStage(createSqlite, { PROVIDER_TIMEOUT_MS: '1500' });

  it('ends the connection by one token call: all callers are told, and no later request makes another', async () => {
    await connectExpired('revoked', '1');
    stage.simulator.revokeGrant('1');
    expect(await callAtOnce(stage.service, 'revoked', 40)).toEqual(Array(40).fill(409));
    await expectOwnError(await call(stage.service, 'revoked'), 409, 'reauthorization_required');
    expect(refreshes(stage)).toBe(1);
    expect(stage.simulator.callsTo('api')).toEqual([]);
    expect(await status(stage.service, 'revoked')).toMatchObject({
      ...LOST,
      reason: 'authorization_revoked',
      realm_id: '1',
      expires_at: null,
      refresh_token_expires_at: null,
    });
    const [row] = await stage.rows('revoked');
    expect(row).toMatchObject({
      is_active: 0,
      deactivation_reason: 'authorization_revoked',
      refresh_lease_owner: null,
    });
    expect(row?.refresh_token).not.toBe(''); // the worker may try it again
  });

  it.each<FaultKind>(['drop_after', 'truncate', 'hang_after'])(
    'is told as rotation_lost after an answer that never came: %s',
    async (kind) => {
      await connectExpired(kind, '2');
      await loseAnswer(kind, kind);
      await expectOwnError(await call(stage.service, kind), 409, 'reauthorization_required');
      expect(await status(stage.service, kind)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
      expect(refreshes(stage)).toBe(2);
    },
  );

  it.each<FaultKind>(['html', 'empty'])('is told as rotation_lost after an answer that was none: %s', async (kind) => {
    await connectExpired(kind, '3');
    await loseAnswer(kind, kind, 502);
    stage.simulator.revokeGrant('3');
    await expectOwnError(await call(stage.service, kind), 409, 'reauthorization_required');
    expect(await status(stage.service, kind)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
  });

  it('is told as authorization_revoked where an answer was lost long ago and refreshes succeeded since', async () => {
    stage.simulator.settings.rotationGrace = true;
    await connectExpired('long-ago', '5');
    await loseAnswer('long-ago', 'drop_after');
    expect((await call(stage.service, 'long-ago')).status).toBe(200);
    stage.simulator.settings.rotationGrace = false;
    stage.simulator.revokeGrant('5');
    await expire(stage, 'long-ago');
    await expectOwnError(await call(stage.service, 'long-ago'), 409, 'reauthorization_required');
    expect(await status(stage.service, 'long-ago')).toMatchObject({ ...LOST, reason: 'authorization_revoked' });
  });

  it.each<FaultKind>(['drop_after', 'truncate', 'hang_after', 'drop_before'])(
    'does not happen where the old refresh token is still taken after %s',
    async (kind) => {
      stage.simulator.settings.rotationGrace = true;
      await connectExpired(`grace-${kind}`, '6');
      await loseAnswer(`grace-${kind}`, kind);
      expect((await call(stage.service, `grace-${kind}`)).status).toBe(200);
      expect(await status(stage.service, `grace-${kind}`)).toMatchObject({ connected: true, is_expired: false });
      stage.simulator.settings.rotationGrace = false;
    },
  );

  it.each<[string, FaultKind]>([
    ['Intuit was down', 'status'],
    ['this service was refused', 'invalid_client'],
  ])('is still told as rotation_lost where meanwhile %s', async (_, kind) => {
    await connectExpired(`between-${kind}`, '4');
    await loseAnswer(`between-${kind}`, 'drop_after');
    stage.simulator.fail({ on: 'token', kind });
    expect((await call(stage.service, `between-${kind}`)).status).toBeGreaterThanOrEqual(502);
    pass(7_000);
    await expectOwnError(await call(stage.service, `between-${kind}`), 409, 'reauthorization_required');
    expect(await status(stage.service, `between-${kind}`)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
  });

  itKeptSecrets(stage);

  async function connectExpired(organization: string, realmId: string): Promise<void> {
    await connect(stage.service, stage.simulator, organization, { realmId });
    await expire(stage, organization);
    stage.simulator.resetCalls();
  }

  /** A refresh without an answer; then so much time passes that the next one may begin. */
  async function loseAnswer(organization: string, kind: FaultKind, expected = 503): Promise<void> {
    stage.simulator.fail({ on: 'token', kind });
    expect((await call(stage.service, organization)).status).toBe(expected);
    const [row] = await stage.activeRows(organization);
    expect(row).toMatchObject({ refresh_failures: 1, next_refresh_attempt_at: expect.anything() });
    const lease = { refresh_lease_owner: null, refresh_lease_expires_at: null };
    const held = stage
      .knex('oauth_tokens')
      .where({ organization_id: organization })
      .whereNotNull('refresh_lease_expires_at');
    expect(await held.update(lease)).toBe(kind.startsWith('hang') ? 1 : 0);
    pass(7_000);
  }

  function pass(milliseconds: number): void {
    const at = stage.clock().getTime() - Date.now() + milliseconds;
    stage.clock = () => new Date(Date.now() + at);
  }
});
