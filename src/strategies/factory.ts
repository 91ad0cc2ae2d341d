import type { Config } from '../config.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { AccountingStrategy } from './base.ts';
import { QuickBooksStrategy } from './quickbooks-strategy.ts';

/** The strategy of an accounting system. Another system is another line here and another file beside this one. */
export function createStrategy(system: AccountingSystem, config: Config, now: () => Date): AccountingStrategy {
  switch (system) {
    case 'quickbooks':
      return new QuickBooksStrategy(config.quickbooks, now);
  }
}
