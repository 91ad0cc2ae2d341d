import { loadKeysConfig, readEnvironment } from '../config/config.ts';
import { TokenCipher } from '../crypto/token-cipher.ts';
import { CiphertextDatastore } from '../datastores/ciphertext-datastore.ts';
import { openSession } from '../db/session.ts';
import { startupFailure } from '../lifecycle/startup-failure.ts';
import { type RotationProgress, rotateKeys } from '../services/key-rotation.ts';
import { systemClock } from '../utils/clock.ts';

const BAR_WIDTH = 40;

try {
  const { database, encryptionKeys } = loadKeysConfig(readEnvironment());
  const session = openSession(database, systemClock);
  try {
    const stored = new CiphertextDatastore(session);
    const cipher = new TokenCipher(encryptionKeys);
    const onProgress = progressBar(await stored.count());
    const { rotated, read, unreadable } = await rotateKeys({ stored, cipher, onProgress });
    process.stdout.write(`Re-encrypted ${rotated} of ${read} rows.\n`);
    for (const row of unreadable) process.stderr.write(`No key in ENCRYPTION_KEY can decrypt the row ${row}.\n`);
    if (unreadable.length > 0) process.exitCode = 1;
  } finally {
    await session.close();
  }
} catch (error) {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exitCode = 1;
}

/** Returns a function that draws the progress on stderr, if that is a terminal. */
function progressBar(total: number): (progress: RotationProgress) => void {
  if (!process.stderr.isTTY) return () => undefined;
  return ({ read }) => {
    const fraction = Math.min(read / Math.max(total, 1), 1);
    const bar = '█'.repeat(Math.round(fraction * BAR_WIDTH)).padEnd(BAR_WIDTH, '░');
    process.stderr.write(`\r${bar} ${read} of ${total} rows${fraction === 1 ? '\n' : ''}`);
  };
}
