import { describe, expect, it } from '@jest/globals';
import type { FaultKind } from '../../dev/intuit-simulator/faults.ts';
import { createSqlite } from '../support/databases.ts';
import { call, callAtOnce, expectOwnError, expire, refreshes } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect, status } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

describe('while Intuit refuses this service', () => {
  const stage = useStage(createSqlite);
  let now = Date.now();

  it.each<FaultKind>(['invalid_client', 'invalid_request', 'redirect'])(
    'by %s, callers are told 502, no connection is harmed, and all goes on when it is mended',
    async (kind) => {
      await connectExpired(kind, `other-${kind}`);
      const before = await rows();
      stage.simulator.fail({ on: 'token', kind, times: null });
      expect(await callAtOnce(stage.service, kind, 20)).toEqual(Array(20).fill(502));
      await expectOwnError(await call(stage.service, kind), 502, 'provider_error');
      expect(refreshes(stage)).toBe(1);
      expect(await rows()).toEqual(before);
      expect(await status(stage.service, kind)).toMatchObject({ connected: true, needs_reauthorization: false });

      stage.simulator.clearFaults();
      pass(2_000);
      expect((await call(stage.service, kind)).status).toBe(200);
      expect((await call(stage.service, `other-${kind}`)).status).toBe(200);
    },
  );

  it('it is called a few times in ten seconds, and each is an error that someone must act on', async () => {
    await connectExpired('few');
    stage.simulator.fail({ on: 'token', kind: 'invalid_client', times: null });
    const before = stage.service.logs.length;
    for (let step = 0; step < 100; step += 1) {
      await (await call(stage.service, 'few')).arrayBuffer();
      pass(100);
    }
    expect(refreshes(stage)).toBeLessThanOrEqual(5);
    const lines = stage.service.logs.slice(before).map((line) => JSON.parse(line));
    const errors = lines.filter(({ level }) => level >= 50);
    expect(errors).toHaveLength(refreshes(stage));
    expect(errors.map(({ intuit_tid }) => intuit_tid)).toEqual(
      stage.simulator.callsTo('token').map(({ intuitTid }) => intuitTid),
    );
  });

  it('for the sake of one connection, the others are renewed all the same', async () => {
    await connectExpired('odd', 'even');
    stage.simulator.fail({ on: 'token', kind: 'invalid_request' });
    expect((await call(stage.service, 'odd')).status).toBe(502);
    expect((await call(stage.service, 'even')).status).toBe(200);
  });

  itKeptSecrets(stage);

  async function connectExpired(...organizations: string[]): Promise<void> {
    stage.clock = () => new Date(now);
    for (const organization of organizations) {
      await connect(stage.service, stage.simulator, organization);
      await expire(stage, organization);
    }
    stage.simulator.resetCalls();
  }

  /** Moves the service's clock on; it never goes back. */
  function pass(milliseconds: number): void {
    now += milliseconds;
  }

  async function rows(): Promise<object[]> {
    const all = await stage.knex('oauth_tokens').orderBy('token_id');
    return all.map(({ updated_at: _, ...row }) => row);
  }
});
