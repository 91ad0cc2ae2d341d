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
