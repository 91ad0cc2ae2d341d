import { loadKeysConfig, readEnvironment } from '../config/config.ts';
import { Fernet } from '../crypto/fernet.ts';
import { CiphertextDatastore } from '../datastores/ciphertext-datastore.ts';
import { openSession } from '../db/session.ts';
import { startupFailure } from '../lifecycle.ts';
import { type RotationCount, rotateKeys } from '../services/key-rotation.ts';

try {
  const { database, encryptionKeys } = loadKeysConfig(readEnvironment());
  const session = openSession(database);
  try {
    const stored = new CiphertextDatastore(session);
    const count = await rotateKeys(stored, new Fernet(encryptionKeys), progressBar(await stored.count()));
    process.stdout.write(`Re-encrypted ${count.rotated} of ${count.read} rows.\n`);
    for (const row of count.unreadable) process.stderr.write(`No key opens the row ${row}.\n`);
    process.exitCode = count.unreadable.length > 0 ? 1 : 0;
  } finally {
    await session.close();
  }
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exitCode = 1;
}

/** Draws on a terminal alone. */
function progressBar(total: number): (count: RotationCount) => void {
  const width = 40;
  return ({ read }) => {
    if (!process.stderr.isTTY) return;
    const done = Math.min(read / Math.max(total, 1), 1);
    const bar = '█'.repeat(Math.round(done * width)).padEnd(width, '░');
    process.stderr.write(`\r${bar} ${read} of ${total} rows${done === 1 ? '\n' : ''}`);
  };
}
