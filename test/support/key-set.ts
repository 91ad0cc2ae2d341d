import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  type GenerateKeyPairResult,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose';

export const ISSUER = 'https://login.octup.example/';
export const AUDIENCE = 'accounting-integration-service';

/** An identity provider: a published key set, and the private keys that sign for it. */
export interface KeySet {
  url: string;
  /** The variables of a service that trusts it. */
  env: Record<string, string>;
  /** How often the key set was fetched. */
  fetches: number;
  /** What a fetch gets: the keys, a broken connection, no response, or another response. */
  response: 'keys' | 'broken' | 'hang' | { status: number; headers?: Record<string, string>; body: string };
  keys: Record<string, { privateKey: CryptoKey; jwk: Record<string, unknown> }>;
  /** Adds a key for an algorithm. @param kid its ID */
  add(algorithm: string, kid?: string, isPublished?: boolean): Promise<void>;
  /** Replaces a key under the same ID. */
  replace(kid: string, key: GenerateKeyPairResult, isPublished?: boolean): Promise<void>;
  /** Publishes the keys without their IDs. */
  removeIds(): void;
  /** Signs a user's JWT, which is valid unless these claims or this header make it invalid. */
  sign(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>, hasId?: boolean): Promise<string>;
  close(): Promise<void>;
}

/** Seconds since 1970, this many from now. */
export function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** Publishes a key set on a free port, with one key for each of these algorithms. */
export async function startKeySet(algorithms: string[] = ['ES256']): Promise<KeySet> {
  const published: Record<string, unknown>[] = [];
  const server = createServer((_request, response) => {
    keySet.fetches += 1;
    if (keySet.response === 'hang') return;
    if (keySet.response === 'broken') return void response.destroy();
    const keys = { status: 200, headers: {}, body: JSON.stringify({ keys: published }) };
    const { status, headers, body } = keySet.response === 'keys' ? keys : keySet.response;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  const keySet: KeySet = {
    url,
    env: { AUTH_DISABLED: '', AUTH_JWKS_URL: url, AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE },
    fetches: 0,
    response: 'keys',
    keys: {},
    add: async (algorithm, kid = algorithm, isPublished = true) => {
      const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
      const jwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' };
      keySet.keys[kid] = { privateKey, jwk };
      if (isPublished) published.push({ ...jwk });
    },
    replace: async (kid, { publicKey, privateKey }, isPublished = true) => {
      const jwk = { ...keySet.keys[kid]?.jwk, ...(await exportJWK(publicKey)) };
      keySet.keys[kid] = { privateKey, jwk };
      if (isPublished) published[published.findIndex((key) => key['kid'] === kid)] = jwk;
    },
    removeIds: () => {
      for (const key of published) delete key['kid'];
    },
    sign: async (claims = {}, header = {}, hasId = true) => {
      const kid = header.kid ?? Object.keys(keySet.keys)[0] ?? '';
      const key = keySet.keys[kid] ?? Object.values(keySet.keys)[0];
      if (!key) throw new Error('the key set has no key');
      const valid = { iss: ISSUER, aud: AUDIENCE, sub: 'user-7', exp: secondsFromNow(300), organization_id: 'acme' };
      const payload = Object.fromEntries(
        Object.entries({ ...valid, ...claims }).filter(([, value]) => value !== undefined),
      );
      return new SignJWT(payload)
        .setProtectedHeader({ alg: String(key.jwk['alg']), ...header, ...(hasId ? { kid } : {}) })
        .sign(key.privateKey);
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  for (const algorithm of algorithms) await keySet.add(algorithm);
  return keySet;
}
