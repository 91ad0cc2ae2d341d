import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Environment } from '../../src/config/environment-schema.ts';

const LIFETIME_SECONDS = 300;
const ALGORITHM = 'ES256';
const KEY_ID = 'development';
const SCOPES = 'connections:read connections:write quickbooks:read quickbooks:write';

/** Stands in for the frontend's sign-in: signs tokens for the users of any organization. */
export interface Issuer {
  /** Returns a user's access token, and its lifetime in seconds. */
  issue(organizationId: string): Promise<{ access_token: string; expires_in: number }>;
  /** Returns the keys that verify the tokens, those of the configured issuers included. */
  keySet(): Promise<{ keys: object[] }>;
  /** The variables with which the service accepts these tokens beside its other credentials. */
  variables: Environment;
}

/** @param url the issuer's own address @param environment what the service was configured with */
export async function createIssuer(url: string, environment: Environment): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair(ALGORITHM);
  const key = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: ALGORITHM, use: 'sig' };
  const audiences = environment['AUTH_AUDIENCE'] || 'accounting-integration-service';
  const claims = {
    iss: url,
    sub: 'developer',
    scope: SCOPES,
    [environment['AUTH_AUDIENCE_CLAIM'] || 'aud']: audiences.split(',')[0]?.trim(),
  };
  const organizationClaim = environment['AUTH_ORGANIZATION_CLAIM'] || 'organization_id';
  const configured = environment['AUTH_JWKS_URL'];

  return {
    async issue(organizationId) {
      const token = await new SignJWT({ ...claims, [organizationClaim]: organizationId })
        .setProtectedHeader({ alg: ALGORITHM, kid: KEY_ID, typ: 'at+jwt' })
        .setIssuedAt()
        .setExpirationTime(`${LIFETIME_SECONDS}s`)
        .sign(privateKey);
      return { access_token: token, expires_in: LIFETIME_SECONDS };
    },
    async keySet() {
      return { keys: [key, ...(configured ? await fetchKeys(configured) : [])] };
    },
    variables: {
      AUTH_JWKS_URL: `${url}/.well-known/jwks.json`,
      AUTH_ISSUER: [environment['AUTH_ISSUER'], url].filter(Boolean).join(','),
      AUTH_AUDIENCE: audiences,
    },
  };
}

/** Returns no keys if they cannot be fetched: the page's own tokens remain valid. */
async function fetchKeys(url: string): Promise<object[]> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(3000) });
    const { keys } = (await response.json()) as { keys: object[] };
    return keys;
  } catch {
    return [];
  }
}
