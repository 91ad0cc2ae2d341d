import type { Knex } from 'knex';
import type { BoundTokens, TokenOwner } from '../crypto/token-cipher.ts';
import type { Session } from '../db/session.ts';
import { NO_CIPHERTEXT, type OAuthTokenRow } from '../db/tables.ts';
import type { Ciphertext } from '../models/connection.ts';

/** The tables whose rows have tokens that are bound to them, in columns of the same names. */
export type TokenTable = 'oauth_tokens' | 'pending_grants';

/** The tokens of one row of a `TokenTable`. */
export interface StoredTokens extends TokenOwner {
  tokens: BoundTokens;
}

/** The token of one row of `pending_revocations`. */
export interface StoredToken {
  revocationId: string;
  refreshToken: Ciphertext;
}

/** Every ciphertext in the database, whatever state its row is in, in the order of the rows' IDs. */
export class CiphertextDatastore {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Returns how many rows contain ciphertext. */
  async count(): Promise<number> {
    const tokens = await this.session.query((db) =>
      db('oauth_tokens').whereNot('refresh_token', NO_CIPHERTEXT).count({ total: '*' }).first(),
    );
    const grants = await this.session.query((db) => db('pending_grants').count({ total: '*' }).first());
    const revocations = await this.session.query((db) => db('pending_revocations').count({ total: '*' }).first());
    return [tokens, grants, revocations].reduce((sum, row) => sum + Number(row?.total ?? 0), 0);
  }

  async listTokens(afterId: string, limit: number, table: TokenTable = 'oauth_tokens'): Promise<StoredTokens[]> {
    const rows = await this.session.query((db) =>
      rowsOf(db, table)
        .whereNot('refresh_token', NO_CIPHERTEXT)
        .where('token_id', '>', afterId)
        .orderBy('token_id')
        .limit(limit)
        .select(...TOKEN_COLUMNS),
    );
    return rows.map(toStoredTokens);
  }

  /** Returns a row's tokens as they are now, or undefined if it has none any more. */
  async findTokens(tokenId: string, table: TokenTable = 'oauth_tokens'): Promise<StoredTokens | undefined> {
    const row = await this.session.query((db) =>
      rowsOf(db, table)
        .where('token_id', tokenId)
        .whereNot('refresh_token', NO_CIPHERTEXT)
        .first(...TOKEN_COLUMNS),
    );
    return row && toStoredTokens(row);
  }

  /** Replaces a row's tokens. False if they changed since they were read. */
  async replaceTokens(
    { tokenId, tokens }: StoredTokens,
    rotated: BoundTokens,
    table: TokenTable = 'oauth_tokens',
  ): Promise<boolean> {
    const changed = await this.session.query((db) =>
      rowsOf(db, table)
        .where({ token_id: tokenId, access_token: tokens.accessToken, refresh_token: tokens.refreshToken })
        .update({
          access_token: rotated.accessToken,
          refresh_token: rotated.refreshToken,
          token_digest: rotated.digest,
        }),
    );
    return changed > 0;
  }

  async listRevocations(afterId: string, limit: number): Promise<StoredToken[]> {
    const rows = await this.session.query((db) =>
      db('pending_revocations')
        .where('revocation_id', '>', afterId)
        .orderBy('revocation_id')
        .limit(limit)
        .select('revocation_id', 'refresh_token'),
    );
    return rows.map((row) => ({ revocationId: row.revocation_id, refreshToken: row.refresh_token }));
  }

  /** Returns a revocation's token as it is now, or undefined if it was executed. */
  async findRevocation(revocationId: string): Promise<StoredToken | undefined> {
    const row = await this.session.query((db) =>
      db('pending_revocations').where('revocation_id', revocationId).first('revocation_id', 'refresh_token'),
    );
    return row && { revocationId: row.revocation_id, refreshToken: row.refresh_token };
  }

  /** Replaces a revocation's token. False if it changed since it was read. */
  async replaceRevocation({ revocationId, refreshToken }: StoredToken, rotated: Ciphertext): Promise<boolean> {
    const changed = await this.session.query((db) =>
      db('pending_revocations')
        .where({ revocation_id: revocationId, refresh_token: refreshToken })
        .update({ refresh_token: rotated }),
    );
    return changed > 0;
  }
}

/** For the compiler every table is the first: the columns that are used here are the same. */
function rowsOf(db: Knex, table: TokenTable) {
  return db(table as 'oauth_tokens');
}

const TOKEN_COLUMNS = [
  'token_id',
  'organization_id',
  'accounting_system',
  'realm_id',
  'access_token',
  'refresh_token',
  'token_digest',
] as const;

function toStoredTokens(row: Pick<OAuthTokenRow, (typeof TOKEN_COLUMNS)[number]>): StoredTokens {
  return {
    tokenId: row.token_id,
    organizationId: row.organization_id,
    system: row.accounting_system,
    realmId: row.realm_id,
    tokens: {
      accessToken: row.access_token as Ciphertext,
      refreshToken: row.refresh_token as Ciphertext,
      digest: row.token_digest ?? '',
    },
  };
}
