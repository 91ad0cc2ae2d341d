import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError, expire, refreshes } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describe('while Intuit’s token endpoint', () => {
  const stage = useStage(createSqlite, { PROVIDER_TIMEOUT_MS: '2000' });

  it.each<[string, Omit<Fault, 'on'>, number]>([
    ['is down', { kind: 'status', status: 503 }, 503],
    ['has too much to do', { kind: 'status', status: 429 }, 503],
    ['is broken', { kind: 'status', status: 500, body: '<h1>canary</h1>', contentType: 'text/html' }, 503],
    ['breaks off', { kind: 'drop_before' }, 503],
    ['answers a page', { kind: 'html' }, 502],
    ['answers nothing', { kind: 'empty' }, 502],
  ])(
    '%s, callers are told, nothing is lost, and it is called five times in ten seconds at most',
    async (name, fault, expected) => {
      const organization = await connectExpired(name);
      const passTo = stopClock();
      stage.simulator.fail({ on: 'token', times: null, ...fault });
      expect(await callAtOnce(stage.service, organization, 20)).toContain(expected);
      expect(refreshes(stage)).toBe(1);
      for (let at = 0; at < 10_000; at += 250) {
        passTo(at);
        const answer = await call(stage.service, organization);
        expect([503, expected]).toContain(answer.status);
        if (answer.status === 503) expect(answer.headers.get('retry-after')).toMatch(/^[1-6]$/);
        await answer.arrayBuffer();
      }
      expect(refreshes(stage)).toBeGreaterThanOrEqual(3);
      expect(refreshes(stage)).toBeLessThanOrEqual(5);
      expect(await status(stage.service, organization)).toMatchObject({
        connected: true,
        needs_reauthorization: false,
      });

      stage.simulator.clearFaults();
      passTo(10_000 + 6_000); // the longest back-off
      expect((await call(stage.service, organization)).status).toBe(200);
      const [row] = await stage.activeRows(organization);
      expect(row).toMatchObject({ refresh_failures: 0, next_refresh_attempt_at: null, refresh_lease_owner: null });
    },
  );

  it.each([
    ['seconds', () => 45],
    ['a date', (at: Date) => at.toUTCString()],
  ])('asks for time by %s, that is told to callers and kept', async (name, wish) => {
    const organization = await connectExpired(`wish ${name}`);
    const passTo = stopClock();
    const retryAfter = wish(new Date(stage.clock().getTime() + 45_000));
    stage.simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter });
    const told = () =>
      call(stage.service, organization).then((answer) => expectOwnError(answer, 503, 'provider_unavailable'));
    expect(await told()).toBe('45');
    passTo(44_500);
    expect(await told()).toBe('1');
    expect(refreshes(stage)).toBe(1);
    passTo(45_000);
    expect((await call(stage.service, organization)).status).toBe(200);
  });

  it('hangs, callers get 503, and none begins a second call beside the first', async () => {
    const organization = await connectExpired('hanging');
    const passTo = stopClock();
    stage.simulator.fail({ on: 'token', kind: 'hang', times: null });
    for (const at of [0, 7_000]) {
      passTo(at); // past the back-off the second caller meets the lease of the first
      const answer = await call(stage.service, organization);
      expect(await expectOwnError(answer, 503, 'provider_unavailable')).toMatch(/^[1-9]\d*$/);
    }
    expect(refreshes(stage)).toBe(1);
  });

  itKeptSecrets(stage);

  async function connectExpired(name: string): Promise<string> {
    const organization = name.replaceAll(' ', '-');
    await connect(stage.service, stage.simulator, organization);
    await expire(stage, organization);
    stage.simulator.resetCalls();
    return organization;
  }

  /** Holds the service's clock at a whole second. Answers how to set it, in milliseconds after that. */
  function stopClock(): (milliseconds: number) => void {
    const start = Math.ceil(Date.now() / 1000) * 1000;
    const passTo = (milliseconds: number) => {
      stage.clock = () => new Date(start + milliseconds);
    };
    passTo(0);
    return passTo;
  }
});
