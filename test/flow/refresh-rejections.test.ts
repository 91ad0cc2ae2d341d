import { describe, expect, it } from '@jest/globals';
import type { FaultKind } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';
import { until } from '../support/until.ts';

const LOST = { connected: false, needs_reauthorization: true };

describe('a refresh token', () => {
  const harness = useHarness(createSqlite);

  it('ends the connection with one call if Intuit rejects it: all callers receive 409, and no later request calls again', async () => {
    const { service, simulator } = harness;
    await connectExpired('revoked', '1');
    simulator.revokeGrant('1');
    expect(await callAtOnce(service, 'revoked', 40)).toEqual(Array(40).fill(409));
    await expectOwnError(await call(service, 'revoked'), 409, 'reauthorization_required');
    expect(harness.refreshes()).toBe(1);
    expect(simulator.callsTo('api')).toEqual([]);
    expect(await status(service, 'revoked')).toMatchObject({
      ...LOST,
      reason: 'authorization_revoked',
      realm_id: '1',
      expires_at: null,
      refresh_token_expires_at: null,
    });
    const row = await harness.row('revoked');
    expect(row).toMatchObject({
      is_active: 0,
      deactivation_reason: 'authorization_revoked',
      refresh_lease_owner: null,
    });
    expect(row.refresh_token).not.toBe(''); // the worker may retry it
  });

  it.each<FaultKind>(['drop_after', 'truncate', 'hang_after'])(
    'ends the connection as rotation_lost if it is rejected after a response that was never received (%s)',
    async (kind) => {
      await connectExpired(kind, '2');
      await failToReceive(kind, kind);
      await expectOwnError(await call(harness.service, kind), 409, 'reauthorization_required');
      expect(await status(harness.service, kind)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
      expect(harness.refreshes()).toBe(2);
    },
  );

  it.each<FaultKind>(['html', 'empty'])(
    'ends the connection as rotation_lost if it is rejected after a response that was unreadable (%s)',
    async (kind) => {
      await connectExpired(kind, '3');
      await failToReceive(kind, kind, 502);
      harness.simulator.revokeGrant('3');
      await expectOwnError(await call(harness.service, kind), 409, 'reauthorization_required');
      expect(await status(harness.service, kind)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
    },
  );

  it('ends the connection as authorization_revoked if a refresh has succeeded since the response that was not received', async () => {
    const { service, simulator } = harness;
    simulator.settings.rotationGrace = true;
    await connectExpired('long-ago', '5');
    await failToReceive('long-ago', 'drop_after');
    expect((await call(service, 'long-ago')).status).toBe(200);
    simulator.settings.rotationGrace = false;
    simulator.revokeGrant('5');
    await harness.expire('long-ago');
    await expectOwnError(await call(service, 'long-ago'), 409, 'reauthorization_required');
    expect(await status(service, 'long-ago')).toMatchObject({ ...LOST, reason: 'authorization_revoked' });
  });

  it.each<FaultKind>(['drop_after', 'truncate', 'hang_after', 'drop_before'])(
    'is sent again after a response that was not received (%s), and works if Intuit still accepts it',
    async (kind) => {
      harness.simulator.settings.rotationGrace = true;
      const organization = `grace-${kind}`;
      await connectExpired(organization, '6');
      await failToReceive(organization, kind);
      expect((await call(harness.service, organization)).status).toBe(200);
      expect(await status(harness.service, organization)).toMatchObject({ connected: true, is_expired: false });
      harness.simulator.settings.rotationGrace = false;
    },
  );

  it.each<[string, FaultKind]>([
    ['was down', 'status'],
    ['rejected this service', 'invalid_client'],
  ])('ends the connection as rotation_lost even if Intuit %s before the rejection', async (_, kind) => {
    const { service, simulator } = harness;
    const organization = `between-${kind}`;
    await connectExpired(organization, '4');
    await failToReceive(organization, 'drop_after');
    simulator.fail({ on: 'token', kind });
    expect((await call(service, organization)).status).toBeGreaterThanOrEqual(502);
    harness.clock.advance(7 * SECONDS);
    await harness.endBackOffs();
    await expectOwnError(await call(service, organization), 409, 'reauthorization_required');
    expect(await status(service, organization)).toMatchObject({ ...LOST, reason: 'rotation_lost' });
  });

  itKeptSecrets(harness);

  async function connectExpired(organization: string, realmId: string): Promise<void> {
    await harness.connect(organization, realmId);
    await harness.expire(organization);
  }

  /** Refreshes without receiving the response, then lets the back-off end. */
  async function failToReceive(organization: string, kind: FaultKind, expected = 503): Promise<void> {
    harness.simulator.fail({ on: 'token', kind });
    const response = call(harness.service, organization);
    await until(() => harness.refreshes() === 1);
    if (kind === 'hang_after') harness.clock.advance(10 * SECONDS);
    expect((await response).status).toBe(expected);
    const row = await harness.row(organization);
    expect(row).toMatchObject({ refresh_failures: 1, next_refresh_attempt_at: expect.anything() });
    await harness.set(organization, { next_refresh_attempt_at: null }); // the back-off is measured by the database's clock
  }
});
