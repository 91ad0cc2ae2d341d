import { developmentSecrets } from './development-secrets.ts';
import { CALLBACK_PATH, DEFAULT_PORT, DEFAULT_SIMULATOR_PORT, type Environment } from './environment-schema.ts';

const DATA_FOLDER = './data';

/** Intuit's own endpoints. */
export const INTUIT = {
  authorizeUrl: 'https://appcenter.intuit.com/connect/oauth2',
  tokenUrl: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
  revokeUrl: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
  apiBaseUrl: {
    sandbox: 'https://sandbox-quickbooks.api.intuit.com',
    production: 'https://quickbooks.api.intuit.com',
  },
} as const;

/** The variables that development does not require. @param needsSecrets generates those that are not given */
export function developmentDefaults(given: Environment, needsSecrets: boolean): Environment {
  const hasSecrets = given['ENCRYPTION_KEY'] && given['OAUTH_STATE_SECRET'];
  const secrets = hasSecrets || !needsSecrets ? {} : developmentSecrets(DATA_FOLDER);
  return {
    DATABASE_URL: `sqlite:${DATA_FOLDER}/dev.db`,
    QBO_REDIRECT_URI: `http://localhost:${portOr(DEFAULT_PORT, given['PORT'])}${CALLBACK_PATH}`,
    FRONTEND_URL: 'http://localhost:5173',
    ...secrets,
  };
}

/** The key pair and the endpoints of the local Intuit simulator. */
export function simulatorDefaults(given: Environment): Environment {
  const origin = `http://localhost:${portOr(DEFAULT_SIMULATOR_PORT, given['SIMULATOR_PORT'])}`;
  return {
    QBO_CLIENT_ID: 'simulator-client-id',
    QBO_CLIENT_SECRET: 'simulator-client-secret',
    QBO_AUTHORIZE_URL: `${origin}/connect/oauth2`,
    QBO_TOKEN_URL: `${origin}/oauth2/v1/tokens/bearer`,
    QBO_REVOKE_URL: `${origin}/v2/oauth2/tokens/revoke`,
    QBO_API_BASE_URL: origin,
  };
}

/** The schema reports a port that is not a number, under its own name. */
function portOr(defaultPort: number, given = ''): number {
  return /^\d{1,5}$/.test(given) ? Number(given) : defaultPort;
}
