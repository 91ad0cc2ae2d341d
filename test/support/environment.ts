import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { Fernet } from '../../src/crypto/fernet.ts';

export const REDIRECT_URI = 'http://localhost:8080/api/v1/oauth/quickbooks/callback';
export const FRONTEND_URL = 'http://localhost:5173';
export const ENCRYPTION_KEY = Fernet.generateKey();

/** The variables of a service that uses this database and this simulator, and accepts calls without credentials. */
export function environment(
  databaseUrl: string,
  simulator: Pick<IntuitSimulator, 'urls' | 'settings'>,
): Record<string, string> {
  return {
    NODE_ENV: 'test',
    LOG_LEVEL: 'trace',
    DATABASE_URL: databaseUrl,
    QBO_ENVIRONMENT: 'sandbox',
    QBO_CLIENT_ID: simulator.settings.clientId,
    QBO_CLIENT_SECRET: simulator.settings.clientSecret,
    QBO_REDIRECT_URI: REDIRECT_URI,
    QBO_AUTHORIZE_URL: simulator.urls.authorizeUrl,
    QBO_TOKEN_URL: simulator.urls.tokenUrl,
    QBO_REVOKE_URL: simulator.urls.revokeUrl,
    QBO_API_BASE_URL: simulator.urls.apiBaseUrl,
    ENCRYPTION_KEY,
    OAUTH_STATE_SECRET: 'state-secret-of-the-tests-0123456789abcdef',
    FRONTEND_URL,
    PROVIDER_TIMEOUT_MS: '10000', // suites in which Intuit does not respond set a shorter one
    RATE_LIMIT_PER_MINUTE: '100000',
    COMPANY_LIMIT_PER_SECOND: '0', // only the tests of these limits enable them
    COMPANY_LIMIT_PER_MINUTE: '0',
    AUTH_DISABLED: 'true',
    VERIFY_IDLE_HOURS: '0', // only the tests of verification enable it
  };
}
