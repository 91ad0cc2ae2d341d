import { InvalidFernetToken } from '../crypto/fernet.ts';
import { type BoundTokens, TokenBindingError, type TokenCipher } from '../crypto/token-cipher.ts';
import type { CiphertextDatastore, StoredToken, StoredTokens, TokenTable } from '../datastores/ciphertext-datastore.ts';
import type { Ciphertext } from '../models/connection.ts';

const BATCH = 200;

/** How far a rotation has got. */
export interface RotationProgress {
  /** Rows read. */
  read: number;
  /** Rows re-encrypted. */
  rotated: number;
  /** Tables and IDs of the rows that no key can decrypt. */
  unreadable: string[];
}

interface Rotation {
  stored: CiphertextDatastore;
  cipher: TokenCipher;
  onProgress: (progress: RotationProgress) => void;
}

/** Rows with ciphertext of one kind. */
interface EncryptedTable<Row, Rotated> {
  name: string;
  idOf(row: Row): string;
  list(afterId: string, limit: number): Promise<Row[]>;
  find(id: string): Promise<Row | undefined>;
  rotate(row: Row): Rotated | undefined;
  replace(row: Row, rotated: Rotated): Promise<boolean>;
}

/**
 * Re-encrypts with the first key what was encrypted with another. Runs in batches beside running replicas; after an
 * interruption it can be started again.
 */
export async function rotateKeys({ stored, cipher, onProgress }: Rotation): Promise<RotationProgress> {
  const tokensIn = (name: TokenTable): EncryptedTable<StoredTokens, BoundTokens> => ({
    name,
    idOf: ({ tokenId }) => tokenId,
    list: (afterId, limit) => stored.listTokens(afterId, limit, name),
    find: (id) => stored.findTokens(id, name),
    rotate: (row) => cipher.rotateTokens(row, row.tokens),
    replace: (row, rotated) => stored.replaceTokens(row, rotated, name),
  });
  const revocations: EncryptedTable<StoredToken, Ciphertext> = {
    name: 'pending_revocations',
    idOf: ({ revocationId }) => revocationId,
    list: (afterId, limit) => stored.listRevocations(afterId, limit),
    find: (id) => stored.findRevocation(id),
    rotate: (row) => cipher.rotate(row.refreshToken),
    replace: (row, rotated) => stored.replaceRevocation(row, rotated),
  };
  // In the order in which replicas move tokens meanwhile, so that none are missed: grants become connections, whose grants
  // can be kept until they are proven, and are revoked.
  const { rotated } = await rotateTable(tokensIn('pending_grants'), { read: 0, rotated: 0, unreadable: [] });
  const progress: RotationProgress = { read: 0, rotated, unreadable: [] };
  await rotateTable(tokensIn('oauth_tokens'), progress, onProgress);
  await rotateTable(tokensIn('pending_grants'), progress, onProgress);
  return rotateTable(revocations, progress, onProgress);
}

async function rotateTable<Row, Rotated>(
  table: EncryptedTable<Row, Rotated>,
  progress: RotationProgress,
  onProgress: Rotation['onProgress'] = () => undefined,
): Promise<RotationProgress> {
  for (let rows = await table.list('', BATCH); rows.length > 0; ) {
    for (const row of rows) await rotateRow(table, row, progress);
    progress.read += rows.length;
    onProgress(progress);
    rows = await table.list(table.idOf(rows.at(-1) as Row), BATCH);
  }
  return progress;
}

/** A row whose tokens changed meanwhile is not overwritten: its new tokens are rotated instead, if need be. */
async function rotateRow<Row, Rotated>(
  table: EncryptedTable<Row, Rotated>,
  row: Row,
  progress: RotationProgress,
): Promise<void> {
  for (let current: Row | undefined = row; current; current = await table.find(table.idOf(row))) {
    let rotated: Rotated | undefined;
    try {
      rotated = table.rotate(current);
    } catch (error) {
      if (!(error instanceof InvalidFernetToken || error instanceof TokenBindingError)) throw error;
      progress.unreadable.push(`${table.name} ${table.idOf(row)}`);
      return;
    }
    if (rotated === undefined) return;
    if (await table.replace(current, rotated)) {
      progress.rotated += 1;
      return;
    }
  }
}
