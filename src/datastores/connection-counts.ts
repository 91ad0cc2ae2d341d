import type { Knex } from 'knex';
import type { Connection } from '../models/connection.ts';
import type { Clock } from '../utils/clock.ts';

/** As many rows as the migration creates. */
const SHARDS = 16;

interface CountChange {
  trx: Knex.Transaction;
  clock: Clock;
  /** The state of the organization's current connection before; undefined if it had none. */
  from: Connection['state'] | undefined;
  to: Connection['state'] | undefined;
}

/**
 * Updates `connection_counts` in the transaction that changes a connection, since counting a million rows takes too long.
 * The sum of all shards counts; there are several so that concurrent writers seldom wait for each other.
 */
export async function countChange({ trx, clock, from, to }: CountChange): Promise<void> {
  if (from === to) return;
  const change = (state: Connection['state']) => Number(to === state) - Number(from === state);
  await trx('connection_counts')
    .where('shard', Math.floor(clock.random() * SHARDS))
    .update({
      active: trx.raw('active + ?', [change('active')]),
      lost: trx.raw('lost + ?', [change('lost')]),
    });
}

/** The sums of all shards. */
export interface ConnectionCounts {
  active: number;
  lost: number;
}

/**
 * Counts the connections anew. Locks the counts first: a change that is not committed yet is not counted, and is added
 * once it gets the lock.
 */
export async function recountConnections(knex: Knex): Promise<{ before: ConnectionCounts; after: ConnectionCounts }> {
  return knex.transaction(async (trx) => {
    await trx('connection_counts').update({ active: trx.raw('active') }); // locks, on SQLite too
    const before = await trx('connection_counts').sum({ active: 'active', lost: 'lost' }).first();
    const count = async (isActive: 0 | 1) => {
      const row = await trx('oauth_tokens')
        .where({ current_key: 1, is_active: isActive })
        .count({ total: '*' })
        .first();
      return Number(row?.total ?? 0);
    };
    const after = { active: await count(1), lost: await count(0) };
    await trx('connection_counts').update({ active: 0, lost: 0 });
    await trx('connection_counts').where('shard', 0).update(after);
    return { before: { active: Number(before?.['active'] ?? 0), lost: Number(before?.['lost'] ?? 0) }, after };
  });
}
