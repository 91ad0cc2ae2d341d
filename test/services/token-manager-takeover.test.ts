import { expect, it } from '@jest/globals';
import { describeOnServer } from '../support/databases.ts';
import { codeOf, HOUR, useTokenBench } from '../support/token-bench.ts';

describeOnServer('token managers whose neighbour died or hangs in a refresh', (createDatabase) => {
  const bench = useTokenBench(createDatabase, 1_500);

  it('take over from one that died before it called', async () => {
    const { realmId } = await bench.connect('died');
    await dieInRefresh('died');
    const { accessToken } = await bench.replica().accessToken('died');
    expect(bench.simulator.grantFor(realmId)?.accessTokens).toEqual([accessToken]);
    expect(bench.refreshes()).toBe(1);
  });

  it('tell rotation_lost of a connection whose refresher died after Intuit rotated', async () => {
    await bench.connect('rotated');
    const connection = await dieInRefresh('rotated');
    await bench.strategy.refresh(bench.fernet.decrypt(connection.refresh_token));
    expect(await codeOf(bench.replica().accessToken('rotated'))).toBe('reauthorization_required');
    expect(await bench.row('rotated')).toMatchObject({ is_active: 0, deactivation_reason: 'rotation_lost' });
  });

  it('wait for one that is alive no longer than twice the time limit', async () => {
    await bench.connect('held');
    await dieInRefresh('held', 60_000);
    const started = performance.now();
    expect(await codeOf(bench.replica().accessToken('held'))).toBe('provider_unavailable');
    expect(performance.now() - started).toBeLessThan(2 * bench.timeoutMs + 200);
    expect(bench.refreshes()).toBe(0);
    await bench.tokens.disconnect('held', 'quickbooks', 'somebody'); // lets the flight end
  });

  /** An expired connection whose refresh was begun by a process that will not end it. */
  async function dieInRefresh(organization: string, leaseMs = -1) {
    bench.advance(2 * HOUR);
    const connection = await bench.tokens.findCurrent(organization, 'quickbooks');
    if (connection) await bench.tokens.acquireRefreshLease(connection, 'the one that died', leaseMs);
    bench.simulator.resetCalls();
    return bench.row(organization);
  }
});
