import type { OrganizationId } from '../../src/models/connection.ts';
import { until } from '../support/until.ts';
import type { TestEnvironment } from './environment.ts';

/** Locks the connections' rows, so that every write to them waits. Returns how to unlock them. */
export async function lockRows({ knex }: TestEnvironment, organizations = ['org']): Promise<() => Promise<void>> {
  const transaction = await knex.transaction();
  await transaction('oauth_tokens')
    .whereIn('organization_id', organizations as OrganizationId[])
    .forUpdate();
  return async () => {
    await transaction.commit();
  };
}

/**
 * Resolves once the server executes this many writes to connections, which cannot end while their rows are locked. The
 * table of transactions would say which ones wait, but is read again only if no other client has read it for 0.1 s.
 */
export async function untilWaiting({ knex }: TestEnvironment, count = 1): Promise<void> {
  await until(async () => {
    const waiting = await knex('information_schema.processlist')
      .whereRaw('db = DATABASE()')
      .where('command', 'Execute')
      .whereRaw("info LIKE 'update `oauth_tokens`%'");
    return waiting.length >= count;
  });
}
