import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';

/** A provider whose routes the document describes. */
export type Provider = Pick<AccountingStrategy, 'system' | 'profile'>;

/** Makes an operation ID unique among all providers. QuickBooks' IDs have no suffix. */
export function operationId(name: string, provider: Provider): string {
  return provider.system === 'quickbooks' ? name : `${name}${identifierOf(provider)}`;
}

/** Returns a provider's title as a part of an identifier: `QuickBooks`. */
export function identifierOf({ profile }: Provider): string {
  return profile.title.replace(/\W/g, '');
}
