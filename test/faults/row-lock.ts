import { setTimeout as delay } from 'node:timers/promises';
import type { OrganizationId } from '../../src/models/connection.ts';
import { until } from '../support/until.ts';
import type { TestEnvironment } from './environment.ts';

/** The server reads its list of transactions again only if nobody has read it for 0.1 s. */
const TRANSACTIONS_CACHED_MS = 150;

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

/** Resolves once a write waits for the row. */
export async function untilWaiting({ knex }: TestEnvironment): Promise<void> {
  await until(async () => {
    await delay(TRANSACTIONS_CACHED_MS);
    const waiting = await knex('information_schema.innodb_trx').where({ trx_state: 'LOCK WAIT' });
    return waiting.length > 0;
  });
}
