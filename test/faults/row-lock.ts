import type { OrganizationId } from '../../src/models/connection.ts';
import { until } from '../support/until.ts';
import type { TestEnvironment } from './environment.ts';

/** Locks the connection's row, so that every write to it waits. Returns how to unlock it. */
export async function lockRow({ knex }: TestEnvironment): Promise<() => Promise<void>> {
  const transaction = await knex.transaction();
  await transaction('oauth_tokens')
    .where({ organization_id: 'org' as OrganizationId })
    .forUpdate();
  return async () => {
    await transaction.commit();
  };
}

/**
 * Resolves once the server executes a write to the connection, which cannot end while its row is locked. The table of
 * transactions would say which one waits, but is read again only if no other client has read it for 0.1 s.
 */
export async function untilWaiting({ knex }: TestEnvironment): Promise<void> {
  await until(async () => {
    const waiting = await knex('information_schema.processlist')
      .whereRaw('db = DATABASE()')
      .where('command', 'Execute')
      .whereLike('info', 'update `oauth_tokens`%');
    return waiting.length > 0;
  });
}
