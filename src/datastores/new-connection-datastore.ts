import type { Session } from '../db/session.ts';
import type { NewConnection } from '../models/connection.ts';
import type { UsedLink } from '../models/pending-grant.ts';
import type { OAuthStateDatastore } from './oauth-state-datastore.ts';
import type { EndedConnection, OAuthTokenDatastore } from './oauth-token-datastore.ts';

/** A connection that a grant has become, with what is needed to store it again. */
export interface StoredConnection {
  connection: NewConnection;
  stateId: string;
  link: UsedLink | undefined;
  actor: string;
  nextMaintenanceAt: Date;
  /** The connection that it replaced; absent if there was none. */
  replacedTokenId: string | undefined;
  storedAt: Date;
}

/**
 * How a connection was stored again.
 * - `present`: its commit was not lost, or its grant was there again, and has ended.
 * - `superseded`: its commit was lost, and the organization's connection was changed since.
 */
export type Restoration = { kind: 'restored'; ended: EndedConnection } | { kind: 'present' | 'superseded' };

interface Dependencies {
  session: Session;
  tokens: OAuthTokenDatastore;
  states: OAuthStateDatastore;
}

/** Connections whose commit may have been lost. */
export class NewConnectionDatastore {
  private readonly session: Session;
  private readonly tokens: OAuthTokenDatastore;
  private readonly states: OAuthStateDatastore;

  constructor({ session, tokens, states }: Dependencies) {
    this.session = session;
    this.tokens = tokens;
    this.states = states;
  }

  /** Stores a connection again, in place of its grant if that is there again. */
  async restore(stored: StoredConnection): Promise<Restoration> {
    const { connection, stateId, link, actor, nextMaintenanceAt, storedAt } = stored;
    const { tokenId } = connection;
    return this.session.transaction(async (trx) => {
      if (await trx('oauth_tokens').where('token_id', tokenId).first('token_id')) return { kind: 'present' };
      const outcome = await this.states.selectOutcome(trx, stateId);
      // `connected`: it was not lost, but its organization was erased since. `failed`: its grant was there again, and ended.
      if (outcome && outcome.kind !== 'pending') return { kind: 'present' };
      const current = await this.tokens.selectCurrent(trx, connection);
      // Clocks may differ: if the connection that it replaced is the current one, nothing has changed, whatever they show.
      const isUnchanged = current !== undefined && current.tokenId === stored.replacedTokenId;
      if (!isUnchanged && (await this.tokens.hasChangedSince(trx, connection, storedAt))) {
        return { kind: 'superseded' };
      }
      if (link && !(await this.states.consumeLink(trx, link))) return { kind: 'superseded' };
      await trx('pending_grants').where('token_id', tokenId).delete();
      await this.states.restoreOutcome(trx, { stateId, expiresAt: storedAt }, { kind: 'connected' });
      const how = { actor, nextMaintenanceAt, createdAt: storedAt };
      return { kind: 'restored', ended: await this.tokens.replaceCurrent(trx, connection, how) };
    });
  }
}
