import { createHash, timingSafeEqual } from 'node:crypto';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import type { Config } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { guardedFetch, JWKS_OPTIONS, KeySetUnavailable } from './remote-key-set.ts';

/** Who calls, and how far that reaches. */
export interface Caller {
  /** An API key's name, a JWT's subject, or `browser` where nobody is named. */
  actor: string;
  /** Who counts towards a rate limit; absent where the address does. */
  account: string | undefined;
  /** The one organization that the caller acts for; absent where it acts for every one. */
  organizationId: string | undefined;
}

/** A caller of whom nothing is known. */
export const ANYBODY: Caller = { actor: 'browser', account: undefined, organizationId: undefined };

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_SECONDS = 30;
const LONGEST_ACTOR = 255;

/** Tells callers by their credentials: API keys, and users' JWTs. */
export class Callers {
  private readonly keys: { name: string; digest: Buffer }[];
  private readonly keySet: ReturnType<typeof createRemoteJWKSet> | undefined;

  constructor(private readonly settings: Config['callers']) {
    this.keys = settings.apiKeys.map(({ name, key }) => ({ name, digest: sha256(key) }));
    const { jwt } = settings;
    this.keySet = jwt && createRemoteJWKSet(new URL(jwt.jwksUrl), { ...JWKS_OPTIONS, ...guardedFetch() });
  }

  /** True where nobody needs credentials. */
  get isOpen(): boolean {
    return this.keys.length === 0 && !this.keySet;
  }

  /** @throws AppError `unauthorized`; `service_unavailable` where the key set is needed and cannot be fetched */
  async identify(authorization: string | undefined): Promise<Caller> {
    const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? '') ?? [];
    const caller = token && (this.identifyKey(token) ?? (await this.identifyUser(token)));
    if (!caller) throw new AppError('unauthorized', 'Valid credentials are needed to call this service.');
    return caller;
  }

  /** Compares with every key, in a time that tells nothing about any. */
  private identifyKey(token: string): Caller | undefined {
    const digest = sha256(token);
    const [match] = this.keys.filter((key) => timingSafeEqual(key.digest, digest));
    return match && { actor: match.name, account: `key:${match.name}`, organizationId: undefined };
  }

  private async identifyUser(token: string): Promise<Caller | undefined> {
    const { jwt } = this.settings;
    if (!jwt || !this.keySet) return undefined;
    try {
      const { payload } = await jwtVerify(token, this.keySet, {
        algorithms: ALGORITHMS,
        issuer: jwt.issuer,
        audience: jwt.audience,
        requiredClaims: ['exp', 'iss', 'aud'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
      });
      const { sub } = payload;
      // A claim that is no text belongs to no organization; the empty one equals none.
      const organization = payload[jwt.organizationClaim];
      return {
        actor: sub?.slice(0, LONGEST_ACTOR) || 'unnamed',
        account: sub ? `jwt:${sub}` : undefined,
        organizationId: typeof organization === 'string' ? organization : '',
      };
    } catch (error) {
      if (error instanceof KeySetUnavailable || error instanceof errors.JWKSTimeout) {
        throw new AppError('service_unavailable', 'Credentials cannot be checked just now.', 5);
      }
      return undefined;
    }
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
