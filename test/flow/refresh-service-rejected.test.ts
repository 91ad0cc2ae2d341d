import { describe, expect, it } from '@jest/globals';
import type { FaultKind } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';

describe('while Intuit rejects this service itself', () => {
  const harness = useHarness(createSqlite);

  it.each<FaultKind>(['invalid_client', 'invalid_request', 'redirect'])(
    'with %s, callers receive 502, no row changes, and refreshes succeed as soon as it no longer does',
    async (kind) => {
      const { service, simulator, clock } = harness;
      await connectExpired(kind, `other-${kind}`);
      const before = await rows();
      simulator.fail({ on: 'token', kind, times: null });
      expect(await callAtOnce(service, kind, 20)).toEqual(Array(20).fill(502));
      await expectOwnError(await call(service, kind), 502, 'provider_error');
      expect(harness.refreshes()).toBe(1);
      expect(await rows()).toEqual(before);
      expect(await status(service, kind)).toMatchObject({ connected: true, needs_reauthorization: false });

      simulator.clearFaults();
      clock.advance(2 * SECONDS);
      expect((await call(service, kind)).status).toBe(200);
      expect((await call(service, `other-${kind}`)).status).toBe(200);
    },
  );

  it('it is called no more than once in two seconds, and every call is logged as an error', async () => {
    const { service, simulator, clock } = harness;
    await connectExpired('few');
    simulator.fail({ on: 'token', kind: 'invalid_client', times: null });
    const before = service.logs.length;
    const startedAt = clock.monotonicMs();
    for (let step = 0; step < 100; step += 1) {
      await (await call(service, 'few')).arrayBuffer();
      clock.advance(100);
    }
    const passedMs = clock.monotonicMs() - startedAt;
    expect(harness.refreshes()).toBeGreaterThan(1);
    expect(harness.refreshes()).toBeLessThanOrEqual(1 + passedMs / (2 * SECONDS));
    const lines = service.logs.slice(before).map((line) => JSON.parse(line));
    const errors = lines.filter(({ level }) => level >= 50);
    expect(errors.map(({ intuit_tid }) => intuit_tid)).toEqual(
      simulator.callsTo('token').map(({ intuitTid }) => intuitTid),
    );
  });

  it('because of one connection’s request, other connections are still refreshed', async () => {
    await connectExpired('odd', 'even');
    harness.simulator.fail({ on: 'token', kind: 'invalid_request' });
    expect((await call(harness.service, 'odd')).status).toBe(502);
    expect((await call(harness.service, 'even')).status).toBe(200);
  });

  itKeptSecrets(harness);

  async function connectExpired(...organizations: string[]): Promise<void> {
    harness.clock.advance(10 * SECONDS); // any cooldown of an earlier test ends
    for (const organization of organizations) {
      await harness.connect(organization);
      await harness.expire(organization);
    }
  }

  async function rows(): Promise<object[]> {
    const all = await harness.knex('oauth_tokens').orderBy('token_id');
    return all.map(({ updated_at: _, ...row }) => row);
  }
});
