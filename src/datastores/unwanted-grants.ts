import type { Knex } from 'knex';
import type { Connection, EncryptedTokens } from '../models/connection.ts';
import { SERVICE } from '../models/connection-event.ts';
import { toGrantRow } from './pending-grant-row.ts';

/** A connection whose company was never proven, with the tokens of its grant. */
export type UnprovenConnection = Pick<Connection, 'tokenId' | 'organizationId' | 'system' | 'realmId'> & {
  tokens: EncryptedTokens;
};

/**
 * Records the grant of a connection that has ended unproven, in place of an older one of the same connection. The worker
 * revokes it once its company is proven: the grant may be for another company, which other organizations use.
 */
export async function appendUnwantedGrant(
  db: Knex,
  { tokenId, organizationId, system, realmId, tokens }: UnprovenConnection,
  now: Date,
): Promise<void> {
  const row = toGrantRow({
    tokenId,
    organizationId,
    system,
    realmId,
    tokens,
    intuitTid: undefined,
    actor: SERVICE,
    stateId: tokenId, // names no state: its callback has ended
    pinnedRealmId: undefined,
    link: undefined,
    phase: 'unwanted',
    companyName: undefined,
    verifiedAt: undefined,
    confirmableUntil: undefined,
    nextAttemptAt: now,
    createdAt: now,
  });
  await db('pending_grants').insert(row).onConflict('token_id').merge();
}
