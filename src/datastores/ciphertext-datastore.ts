import type { Session } from '../db/session.ts';
import type { Ciphertext } from '../models/connection.ts';

/** The tables that keep ciphertext, and where in them. */
const TABLES = [
  { table: 'oauth_tokens', id: 'token_id', columns: ['access_token', 'refresh_token'] },
  { table: 'pending_revocations', id: 'revocation_id', columns: ['refresh_token'] },
] as const;

/** One of the tables that keep ciphertext. */
export type CiphertextTable = (typeof TABLES)[number];

/** A row's ciphertexts by their columns. */
export interface StoredCiphertexts {
  id: string;
  ciphertexts: Record<string, Ciphertext>;
}

/** Every encrypted column, whatever state its row is in. */
export class CiphertextDatastore {
  readonly tables = TABLES;

  constructor(private readonly session: Session) {}

  /** How many rows keep ciphertext. */
  async count(): Promise<number> {
    const counts = await Promise.all(
      TABLES.map(({ table }) =>
        this.session.query((db) => db(table).whereNot('refresh_token', '').count({ total: '*' }).first()),
      ),
    );
    return counts.reduce((sum, row) => sum + Number(row?.total ?? 0), 0);
  }

  /** The next rows that keep ciphertext, in the order of their ids. */
  async list({ table, id, columns }: CiphertextTable, afterId: string, most: number): Promise<StoredCiphertexts[]> {
    const rows: Record<string, Ciphertext>[] = await this.session.query((db) =>
      db
        .select({ id })
        .select(...columns)
        .from(table)
        .whereNot('refresh_token', '')
        .where(id, '>', afterId)
        .orderBy(id)
        .limit(most),
    );
    return rows.map(({ id, ...ciphertexts }) => ({ id: String(id), ciphertexts }));
  }

  async find({ table, id, columns }: CiphertextTable, rowId: string): Promise<StoredCiphertexts | undefined> {
    const row: Record<string, Ciphertext> | undefined = await this.session.query((db) =>
      db(table)
        .where(id, rowId)
        .whereNot('refresh_token', '')
        .first(...columns),
    );
    return row && { id: rowId, ciphertexts: row };
  }

  /** Writes the same texts under another key. False where the row got others meanwhile. */
  async replace({ table, id }: CiphertextTable, row: StoredCiphertexts, ciphertexts: StoredCiphertexts['ciphertexts']) {
    const changed: number = await this.session.query((db) =>
      db(table).where(id, row.id).where(row.ciphertexts).update(ciphertexts),
    );
    return changed > 0;
  }
}
