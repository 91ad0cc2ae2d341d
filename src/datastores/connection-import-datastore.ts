import type { Session } from '../db/session.ts';
import type { NewConnection } from '../models/connection.ts';
import { OPERATOR } from '../models/connection-event.ts';
import type { EndedConnection, OAuthTokenDatastore } from './oauth-token-datastore.ts';

/**
 * How the storing of an imported connection ended.
 * - `known`: it was stored before, and is or was the organization's connection.
 * - `occupied`: the organization has another active connection.
 */
export type StoredImport = { kind: 'stored'; ended: EndedConnection } | { kind: 'known' | 'occupied' };

interface Dependencies {
  session: Session;
  tokens: OAuthTokenDatastore;
}

/** Connections that come from another system. */
export class ConnectionImportDatastore {
  private readonly session: Session;
  private readonly tokens: OAuthTokenDatastore;

  constructor({ session, tokens }: Dependencies) {
    this.session = session;
    this.tokens = tokens;
  }

  /**
   * Stores a connection, once: its ID says which refresh token it was imported with, and one that was refreshed since must
   * never be replaced by the token of the file. @param replaces whether it takes the place of another active connection
   */
  async store(
    connection: NewConnection,
    { replaces, nextMaintenanceAt }: { replaces: boolean; nextMaintenanceAt: Date },
  ): Promise<StoredImport> {
    return this.session.transaction(async (trx) => {
      const known = await trx('oauth_tokens').where('token_id', connection.tokenId).first('token_id');
      if (known) return { kind: 'known' };
      const current = await this.tokens.selectCurrent(trx, connection);
      if (current?.state === 'active' && !replaces) return { kind: 'occupied' };
      const how = { actor: OPERATOR, type: 'imported', nextMaintenanceAt } as const;
      return { kind: 'stored', ended: await this.tokens.replaceCurrent(trx, connection, how) };
    });
  }
}
