import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { status } from '../support/service.ts';
import { until } from '../support/until.ts';

const MAX_BACK_OFF_MS = 6 * SECONDS;

describe('while Intuit’s token endpoint', () => {
  const harness = useHarness(createSqlite, { frozen: true });

  it.each<[string, number, Omit<Fault, 'on'>]>([
    ['is down', 503, { kind: 'status', status: 503 }],
    ['throttles', 503, { kind: 'status', status: 429 }],
    [
      'returns 500 with an HTML page',
      503,
      { kind: 'status', status: 500, body: '<h1>-</h1>', contentType: 'text/html' },
    ],
    ['closes the connection', 503, { kind: 'drop_before' }],
    ['returns 200 with an HTML page', 502, { kind: 'html' }],
    ['returns an empty response', 502, { kind: 'empty' }],
  ])(
    '%s, callers receive %i, no connection is lost, and it is called three to five times in ten seconds',
    async (name, expected, fault) => {
      const { service, simulator } = harness;
      const organization = await connectExpired(name);
      simulator.fail({ on: 'token', times: null, ...fault });
      expect(await callAtOnce(service, organization, 20)).toContain(expected);
      expect(harness.refreshes()).toBe(1);
      for (let passedMs = 0; passedMs < 10 * SECONDS; passedMs += 250) {
        const response = await call(service, organization);
        expect([503, expected]).toContain(response.status);
        if (response.status === 503) expect(response.headers.get('retry-after')).toMatch(/^[1-6]$/);
        await response.arrayBuffer();
        await harness.advance(250);
      }
      expect(harness.refreshes()).toBeGreaterThanOrEqual(3);
      expect(harness.refreshes()).toBeLessThanOrEqual(5);
      expect(await status(service, organization)).toMatchObject({ connected: true, needs_reauthorization: false });

      simulator.clearFaults();
      await harness.advance(MAX_BACK_OFF_MS);
      expect((await call(service, organization)).status).toBe(200);
      expect(await harness.row(organization)).toMatchObject({
        refresh_failures: 0,
        next_refresh_attempt_at: null,
        refresh_lease_owner: null,
      });
    },
  );

  it.each([
    ['in seconds', () => 45],
    ['as a date', (at: Date) => at.toUTCString()],
  ])('returns Retry-After %s, callers receive it, and it is not called before', async (name, format) => {
    const { service, simulator, clock } = harness;
    clock.setWallClock(new Date('2026-02-10T14:00:00.000Z'));
    const organization = await connectExpired(`retry after ${name}`);
    const retryAfter = format(new Date(clock.now().getTime() + 45 * SECONDS));
    simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter });
    const returned = async () => expectOwnError(await call(service, organization), 503, 'provider_unavailable');
    expect(await returned()).toBe('45');
    await harness.advance(44.5 * SECONDS);
    expect(await returned()).toBe('1');
    expect(harness.refreshes()).toBe(1);
    await harness.advance(0.5 * SECONDS);
    expect((await call(service, organization)).status).toBe(200);
  });

  it('does not respond, callers receive 503, and no second call is made while the first may be processed', async () => {
    const { service, simulator, clock } = harness;
    const organization = await connectExpired('hanging');
    simulator.fail({ on: 'token', kind: 'hang', times: null });
    const first = call(service, organization);
    await until(() => harness.refreshes() === 1);
    clock.advance(10 * SECONDS);
    expect(await expectOwnError(await first, 503, 'provider_unavailable')).toMatch(/^[1-9]\d*$/);

    await harness.advance(4.5 * SECONDS); // Intuit may take as long as this to process the first call
    expect(await expectOwnError(await call(service, organization), 503, 'provider_unavailable')).toMatch(/^[1-9]\d*$/);
    expect(harness.refreshes()).toBe(1);

    simulator.clearFaults();
    await harness.advance(MAX_BACK_OFF_MS);
    expect((await call(service, organization)).status).toBe(200);
    expect(harness.refreshes()).toBe(2);
  });

  itKeptSecrets(harness);

  async function connectExpired(name: string): Promise<string> {
    const organization = name.replaceAll(' ', '-');
    await harness.connect(organization);
    await harness.expire(organization);
    return organization;
  }
});
