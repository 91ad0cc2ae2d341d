import type { Fernet } from '../crypto/fernet.ts';
import type { CiphertextDatastore, CiphertextTable, StoredCiphertexts } from '../datastores/ciphertext-datastore.ts';

const BATCH = 200;

/** How a rotation went. */
export interface RotationCount {
  /** Rows looked at. */
  read: number;
  /** Rows re-encrypted. */
  rotated: number;
  /** Tables and ids of the rows that no key opens. */
  unreadable: string[];
}

/**
 * Re-encrypts with the first key whatever another one wrote: in batches, beside running replicas, and again from where
 * it stopped, since what is done needs nothing more.
 */
export async function rotateKeys(
  stored: CiphertextDatastore,
  fernet: Fernet,
  tell: (count: RotationCount) => void,
): Promise<RotationCount> {
  const count: RotationCount = { read: 0, rotated: 0, unreadable: [] };
  for (const table of stored.tables) {
    for (let rows = await stored.list(table, '', BATCH); rows.length > 0; ) {
      for (const row of rows) await rotateRow(table, row, stored, fernet, count);
      count.read += rows.length;
      tell(count);
      rows = await stored.list(table, rows.at(-1)?.id ?? '', BATCH);
    }
  }
  return count;
}

/** A row that got new tokens meanwhile is not overwritten: these are looked at instead. */
async function rotateRow(
  table: CiphertextTable,
  row: StoredCiphertexts,
  stored: CiphertextDatastore,
  fernet: Fernet,
  count: RotationCount,
): Promise<void> {
  for (let current: StoredCiphertexts | undefined = row; current; current = await stored.find(table, row.id)) {
    const entries = Object.entries(current.ciphertexts);
    if (entries.every(([, ciphertext]) => fernet.isCurrent(ciphertext))) return;
    let renewed: StoredCiphertexts['ciphertexts'];
    try {
      renewed = Object.fromEntries(entries.map(([column, old]) => [column, fernet.encrypt(fernet.decrypt(old))]));
    } catch {
      count.unreadable.push(`${table.table} ${row.id}`);
      return;
    }
    if (await stored.replace(table, current, renewed)) {
      count.rotated += 1;
      return;
    }
  }
}
