import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fernet } from '../crypto/fernet.ts';

/** The secrets that production must be given and development makes for itself. */
interface DevelopmentSecrets {
  ENCRYPTION_KEY: string;
  OAUTH_STATE_SECRET: string;
}

/** Reads development's secrets from `folder`, or makes them there once, readable by their owner alone. */
export function developmentSecrets(folder: string): DevelopmentSecrets {
  const file = join(folder, 'development-secrets.json');
  mkdirSync(folder, { recursive: true });
  const fresh: DevelopmentSecrets = {
    ENCRYPTION_KEY: Fernet.generateKey(),
    OAUTH_STATE_SECRET: randomBytes(32).toString('base64url'),
  };
  try {
    writeFileSync(file, `${JSON.stringify(fresh, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    return fresh;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return JSON.parse(readFileSync(file, 'utf8')) as DevelopmentSecrets;
  }
}
