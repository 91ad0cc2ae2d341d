import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fernet } from '../crypto/fernet.ts';

/** The secrets that production requires, and that development generates. */
interface DevelopmentSecrets {
  ENCRYPTION_KEY: string;
  OAUTH_STATE_SECRET: string;
}

/** Reads development's secrets from `folder`. If there are none, generates them, in a file that only its owner can read. */
export function developmentSecrets(folder: string): DevelopmentSecrets {
  const file = join(folder, 'development-secrets.json');
  mkdirSync(folder, { recursive: true });
  const generated: DevelopmentSecrets = {
    ENCRYPTION_KEY: Fernet.generateKey(),
    OAUTH_STATE_SECRET: randomBytes(32).toString('base64url'),
  };
  try {
    writeFileSync(file, `${JSON.stringify(generated, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    return generated;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return JSON.parse(readFileSync(file, 'utf8')) as DevelopmentSecrets;
  }
}
