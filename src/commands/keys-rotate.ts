import { loadKeysConfig, readEnvironment } from '../config/config.ts';
import { TokenCipher } from '../crypto/token-cipher.ts';
import { CiphertextDatastore } from '../datastores/ciphertext-datastore.ts';
import { openSession } from '../db/session.ts';
import { startupFailure } from '../lifecycle/startup-failure.ts';
import { rotateKeys } from '../services/key-rotation.ts';
import { systemClock } from '../utils/clock.ts';
import { withProgressBar } from './progress-bar.ts';

try {
  const { database, encryptionKeys } = loadKeysConfig(readEnvironment());
  const session = openSession(database, systemClock);
  try {
    const stored = new CiphertextDatastore(session);
    const cipher = new TokenCipher(encryptionKeys);
    const { rotated, read, unreadable } = await withProgressBar(
      { total: await stored.count(), unit: 'rows' },
      (update) => rotateKeys({ stored, cipher, onProgress: (progress) => update(progress.read) }),
    );
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
