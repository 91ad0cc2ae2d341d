import knex, { type Knex } from 'knex';
import type { DatabaseConfig } from '../../src/config/database-url.ts';
import { knexConfig } from '../../src/db/knex-config.ts';

const WRITE = /^(create|alter|drop|insert|update|delete|commit)/i;

/**
 * Runs `work` as in a process that is killed right after its first write that is not in `survived`, and adds this write:
 * the connection is lost, and the client rolls nothing back and releases no lock. Returns false once `work` completes.
 */
export async function isInterrupted(
  database: DatabaseConfig,
  work: (knex: Knex) => Promise<unknown>,
  survived: Set<string>,
): Promise<boolean> {
  const settings = knexConfig(database);
  const Client = knex(settings).client.constructor;
  let isKilled = false;

  class KilledClient extends Client {
    async _query(connection: unknown, query: { sql: string; bindings?: unknown[] }): Promise<unknown> {
      if (isKilled) throw new Error('killed');
      const result = await super._query(connection, query);
      const statement = [query.sql, ...(query.bindings ?? []).filter((value) => typeof value === 'string')].join(' ');
      isKilled = WRITE.test(statement) && !survived.has(statement);
      survived.add(statement);
      if (isKilled) throw new Error('killed');
      return result;
    }
  }

  const connection = knex({ ...settings, client: KilledClient as unknown as typeof Knex.Client });
  try {
    await work(connection);
    return false;
  } catch (error) {
    if (!isKilled) throw error;
    return true;
  } finally {
    await connection.destroy();
  }
}
