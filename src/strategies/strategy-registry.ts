import type { Config } from '../config/config.ts';
import type { Egress } from '../egress/egress.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { Clock } from '../utils/clock.ts';
import type { AccountingStrategy } from './accounting-strategy.ts';
import { QuickBooksStrategy } from './quickbooks/quickbooks-strategy.ts';

/** The providers of this service, by their names in URLs and rows. */
export class StrategyRegistry {
  private readonly strategies: Map<AccountingSystem, AccountingStrategy>;

  constructor(strategies: readonly AccountingStrategy[]) {
    this.strategies = new Map(strategies.map((strategy) => [strategy.system, strategy]));
  }

  /** All of them, in the order of registration. */
  all(): AccountingStrategy[] {
    return [...this.strategies.values()];
  }

  /** Their names: no query of the worker returns a row of any other system. */
  systems(): AccountingSystem[] {
    return [...this.strategies.keys()];
  }

  /** @throws Error if this version of the service does not know the system. */
  get(system: AccountingSystem): AccountingStrategy {
    const strategy = this.strategies.get(system);
    if (!strategy) throw new Error(`no provider is registered for the accounting system ${system}`);
    return strategy;
  }
}

/** The providers that the configuration enables. Another provider is one more line here. */
export function createStrategies(
  { quickbooks: settings, verifyIdleMs }: Pick<Config, 'quickbooks' | 'verifyIdleMs'>,
  egress: Egress,
  clock: Clock,
): AccountingStrategy[] {
  return [new QuickBooksStrategy({ settings, verifyIdleMs, egress, clock })];
}
