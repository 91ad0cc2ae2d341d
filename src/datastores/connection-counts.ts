import type { Knex } from 'knex';

/** What an organization's current connection is; undefined where it has none. */
type ConnectionState = 'active' | 'lost' | undefined;

/** As many rows as the migration makes. */
const SHARDS = 16;

/**
 * Keeps `connection_counts`, how many connections there are, in the transaction that changes one: to count a million rows
 * takes too long. The sum of all rows counts; they are several so that those who write at once seldom meet.
 */
export async function countChange(trx: Knex.Transaction, from: ConnectionState, to: ConnectionState): Promise<void> {
  if (from === to) return;
  const change = (state: ConnectionState) => Number(to === state) - Number(from === state);
  await trx('connection_counts')
    .where('shard', Math.floor(Math.random() * SHARDS))
    .update({
      active: trx.raw('active + ?', [change('active')]),
      lost: trx.raw('lost + ?', [change('lost')]),
    });
}
