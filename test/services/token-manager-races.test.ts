import { expect, it } from '@jest/globals';
import type { Fault } from '../../dev/intuit-simulator/faults.ts';
import { seal } from '../../src/crypto/token-cipher.ts';
import { AppError } from '../../src/errors.ts';
import type { TokenManager } from '../../src/services/token-manager.ts';
import { type AccountingStrategy, ProviderError } from '../../src/strategies/accounting-strategy.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { until } from '../support/gateway.ts';
import { codeOf, HOUR, MINUTES, useTokenBench } from '../support/token-bench.ts';

describeEachDatabase('token managers of several processes', (createDatabase) => {
  const bench = useTokenBench(createDatabase, 800);

  it('make one token call for sixty callers, whom all of them serve with the new token', async () => {
    await bench.connect('shared');
    bench.advance(2 * HOUR);
    bench.simulator.fail({ on: 'token', kind: 'slow', delayMs: 300 });
    const opened = await Promise.all(replicas(3).flatMap((replica) => times(20, () => replica.accessToken('shared'))));
    expect(new Set(opened.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(bench.refreshes()).toBe(1);
  });

  it('keep a Retry-After that one of them was told, though the others read the row before', async () => {
    await bench.connect('told');
    bench.advance(2 * HOUR);
    bench.simulator.fail({ on: 'token', kind: 'status', status: 429, retryAfter: 60, times: null });
    const callers = replicas(3).flatMap((replica) => times(20, () => codeOf(replica.accessToken('told'))));
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['provider_unavailable']));
    expect(bench.refreshes()).toBe(1);
  });

  it('take a connection for lost by one token call', async () => {
    const { realmId } = await bench.connect('refused');
    bench.simulator.revokeGrant(realmId);
    bench.advance(2 * HOUR);
    const callers = replicas(3).flatMap((replica) => times(20, () => codeOf(replica.accessToken('refused'))));
    expect(new Set(await Promise.all(callers))).toEqual(new Set(['reauthorization_required']));
    expect(bench.refreshes()).toBe(1);
  });

  it('use a refresh that another one finished while Intuit refused theirs', async () => {
    await bench.connect('overtaken');
    bench.advance(2 * HOUR);
    const connection = await bench.tokens.findCurrent('overtaken', 'quickbooks');
    const strategy = withRefresh(async (refreshToken) => {
      const tokens = { ...(await bench.strategy.refresh(refreshToken)), refreshToken };
      const refreshTokenExpiresAt = new Date(bench.now.getTime() + HOUR);
      if (connection)
        await bench.tokens.saveRefreshed(connection, seal(bench.fernet, { ...tokens, refreshTokenExpiresAt }));
      throw new ProviderError('refused', { status: 400, reason: 'invalid_grant' });
    });
    await bench.replica({ strategy }).accessToken('overtaken');
    expect(await bench.row('overtaken')).toMatchObject({ is_active: 1, generation: 1 });
  });

  it.each<[string, Omit<Fault, 'on'>]>([
    ['is down', { kind: 'status', status: 503 }],
    ['hangs', { kind: 'hang' }],
    ['breaks off', { kind: 'drop_before' }],
    ['answers a page', { kind: 'html' }],
    ['refuses this service', { kind: 'invalid_client' }],
  ])('serve a token that still works without delay while Intuit %s', async (name, fault) => {
    for (const left of [4 * MINUTES, 20_000]) {
      const organization = `${left}-${name}`.replaceAll(' ', '-');
      await bench.connect(organization);
      bench.simulator.fail({ on: 'token', times: null, ...fault });
      bench.advance(HOUR - left);
      const manager = bench.replica();
      for (let time = 0; time < 3; time += 1) {
        const started = performance.now();
        await manager.accessToken(organization);
        expect(performance.now() - started).toBeLessThan(200);
      }
      await until(() => bench.refreshes() === 1);
      bench.simulator.clearFaults();
    }
  });

  it('keep an answer that the database will not take at once', async () => {
    const { realmId } = await bench.connect('full');
    bench.advance(2 * HOUR);
    const tokens = Object.create(bench.tokens) as typeof bench.tokens;
    let failures = 2;
    tokens.saveRefreshed = async (...parts) => {
      if (failures-- > 0) throw new AppError('service_unavailable', 'The disk is full.');
      return bench.tokens.saveRefreshed(...parts);
    };
    const { accessToken } = await bench.replica({ tokens }).accessToken('full');
    expect(bench.simulator.grantFor(realmId)?.accessTokens).toEqual([accessToken]);
  });

  function replicas(count: number): TokenManager[] {
    return times(count, () => bench.replica());
  }

  function withRefresh(refresh: AccountingStrategy['refresh']): AccountingStrategy {
    return Object.assign(Object.create(bench.strategy), { refresh });
  }
});

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
