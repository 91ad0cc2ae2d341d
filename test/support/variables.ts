import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { Fernet } from '../../src/crypto/fernet.ts';

export const KEY = Fernet.generateKey();
export const SECRET = 's'.repeat(32);

/** Exactly the variables that production requires. */
export const PRODUCTION = {
  NODE_ENV: 'production',
  DATABASE_URL: 'mysql://user:pa55word@db.internal:3306/accounting',
  QBO_CLIENT_ID: 'the-client-id',
  QBO_CLIENT_SECRET: 'the-client-secret',
  QBO_ENVIRONMENT: 'sandbox',
  QBO_REDIRECT_URI: 'https://api.octup.com/api/v1/oauth/quickbooks/callback',
  ENCRYPTION_KEY: KEY,
  OAUTH_STATE_SECRET: SECRET,
  FRONTEND_URL: 'https://app.octup.com',
  AUTH_DISABLED: 'true',
};

/** Returns the problems of these variables, one line each. */
export function problemsOf(environment: Record<string, string | undefined>): string[] {
  try {
    loadConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}
