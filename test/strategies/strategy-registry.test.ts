import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/config/config.ts';
import { createStrategies, StrategyRegistry } from '../../src/strategies/strategy-registry.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { DIRECT } from '../support/egress.ts';
import { LedgerlyStrategy } from '../support/second-provider.ts';
import { PRODUCTION } from '../support/variables.ts';

describe('StrategyRegistry', () => {
  const config = loadConfig({ ...PRODUCTION, QBO_ENVIRONMENT: 'production' });
  const [quickbooks, ...others] = createStrategies(config, DIRECT, systemClock);
  const ledgerly = new LedgerlyStrategy('http://127.0.0.1', systemClock);

  it('contains QuickBooks by default', () => {
    expect([quickbooks?.system, others]).toEqual(['quickbooks', []]);
    expect(quickbooks?.profile.redirectUri).toBe(config.quickbooks.redirectUri);
  });

  it('returns the strategy of each accounting system', () => {
    const registry = new StrategyRegistry([quickbooks as NonNullable<typeof quickbooks>, ledgerly]);
    expect(registry.systems()).toEqual(['quickbooks', 'ledgerly']);
    expect(registry.all()).toEqual([quickbooks, ledgerly]);
    expect(registry.get('quickbooks')).toBe(quickbooks);
    expect(registry.get('ledgerly')).toBe(ledgerly);
  });

  it('throws for a system that it does not know', () => {
    const registry = new StrategyRegistry([ledgerly]);
    for (const system of ['quickbooks', 'Ledgerly', '', '__proto__']) {
      expect(() => registry.get(system)).toThrow(/no provider is registered/);
    }
  });
});
