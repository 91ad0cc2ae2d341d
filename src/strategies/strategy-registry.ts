import type { Config } from '../config/config.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { AccountingStrategy } from './accounting-strategy.ts';
import { QuickBooksStrategy } from './quickbooks/quickbooks-strategy.ts';

/** The strategy of an accounting system. Another system is another line here and another file beside this one. */
export function createStrategy(system: AccountingSystem, config: Config, now: () => Date): AccountingStrategy {
  switch (system) {
    case 'quickbooks':
      return new QuickBooksStrategy(config.quickbooks, now);
  }
}
