import { createHash, timingSafeEqual } from 'node:crypto';
import { errors } from 'jose';
import type { Config } from '../config/config.ts';
import type { Egress } from '../egress/egress.ts';
import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { Clock } from '../utils/clock.ts';
import { claimAt, namesIn } from './claims.ts';
import { JwtVerifier } from './jwt-verifier.ts';
import { KeySetUnavailableError } from './remote-key-set.ts';
import { scopesOf } from './scopes.ts';

/** Who calls, and for which organizations. */
export interface Caller {
  /** An API key's name, a JWT's subject, or `browser` if the caller is not identified. */
  actor: string;
  /** What a rate limit counts; absent if it counts the address. */
  account: string | undefined;
  organizations: Organizations;
  /** The scopes that it is limited to; absent if it has every scope of its kind. */
  scopes?: ReadonlySet<string> | undefined;
}

/** The organizations that a caller can act for. `claim`: the claim of the JWT that names them; absent for a link. */
export type Organizations = { kind: 'all' } | { kind: 'only'; ids: readonly OrganizationId[]; claim?: string };

/** A caller without credentials. */
export const ANONYMOUS: Caller = { actor: 'browser', account: undefined, organizations: { kind: 'all' } };

const MAX_ACTOR_LENGTH = 255;
const KEY_SET_RETRY_SECONDS = 5;

/** Identifies callers by their credentials: API keys, and users' JWTs. */
export class CallerAuthenticator {
  private readonly settings: Config['callers'];
  private readonly keys: { name: string; digest: Buffer; scopes: ReadonlySet<string> | undefined }[];
  private readonly jwts: JwtVerifier | undefined;

  constructor(settings: Config['callers'], egress: Egress, clock: Clock) {
    this.settings = settings;
    this.keys = settings.apiKeys.map(({ name, key, scopes }) => ({
      name,
      digest: sha256(key),
      scopes: scopes && new Set(scopes),
    }));
    const { jwt } = settings;
    this.jwts = jwt && new JwtVerifier(jwt, egress, clock);
  }

  /** True if no credentials are required. */
  get isOpen(): boolean {
    return this.keys.length === 0 && !this.jwts;
  }

  /** @throws AppError `unauthorized`; `service_unavailable` if the key set is required and cannot be fetched */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? '') ?? [];
    const caller = token && (this.findKey(token) ?? (await this.verifyJwt(token)));
    if (!caller) throw new AppError('unauthorized');
    return caller;
  }

  /** Compares with every key, in constant time. */
  private findKey(token: string): Caller | undefined {
    const digest = sha256(token);
    const [match] = this.keys.filter((key) => timingSafeEqual(key.digest, digest));
    if (!match) return undefined;
    const { name, scopes } = match;
    return { actor: name, account: `key:${name}`, organizations: { kind: 'all' }, scopes };
  }

  private async verifyJwt(token: string): Promise<Caller | undefined> {
    const { jwt, jwtNamesScopes } = this.settings;
    if (!jwt || !this.jwts) return undefined;
    try {
      const claims = await this.jwts.verify(token);
      const { sub } = claims;
      const { organizationClaim: claim } = jwt;
      return {
        actor: sub.slice(0, MAX_ACTOR_LENGTH),
        account: `jwt:${sub}`,
        organizations: { kind: 'only', ids: namesIn(claimAt(claims, claim)) as OrganizationId[], claim },
        scopes: jwtNamesScopes ? scopesOf(claims) : undefined,
      };
    } catch (error) {
      if (error instanceof KeySetUnavailableError || error instanceof errors.JWKSTimeout) {
        throw new AppError('service_unavailable', {
          detail: 'Credentials cannot be verified at the moment.',
          retryAfterSeconds: KEY_SET_RETRY_SECONDS,
          cause: error,
        });
      }
      throw new AppError('unauthorized', { reason: reasonOf(error) });
    }
  }
}

/** The code of a rejection, and the claim: fixed texts of the library. */
function reasonOf(error: unknown): string {
  if (!(error instanceof errors.JOSEError)) return (error as Error).name;
  return 'claim' in error ? `${error.code} ${error.claim}` : error.code;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
