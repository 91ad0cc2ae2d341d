import { errors, type JWTPayload, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from 'jose';
import type { Config } from '../config/config.ts';
import type { Egress } from '../egress/egress.ts';
import type { Clock } from '../utils/clock.ts';
import { claimAt, namesIn } from './claims.ts';
import { RemoteKeySet } from './remote-key-set.ts';

type JwtConfig = NonNullable<Config['callers']['jwt']>;

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

/** Verifies the JWTs of one identity provider: signature, issuer, audience, lifetime, type and subject. */
export class JwtVerifier {
  private readonly settings: JwtConfig;
  private readonly keySet: RemoteKeySet;
  private readonly options: JWTVerifyOptions;

  constructor(settings: JwtConfig, egress: Egress, clock: Clock) {
    const { issuers, audiences, audienceClaim } = settings;
    const hasAud = audienceClaim === 'aud';
    this.settings = settings;
    this.keySet = new RemoteKeySet({ url: settings.jwksUrl, egress, clock });
    this.options = {
      algorithms: ALGORITHMS,
      issuer: issuers,
      ...(hasAud ? { audience: audiences } : {}),
      requiredClaims: ['exp', 'iss', 'sub', ...(hasAud ? ['aud'] : [])],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    };
  }

  /** Returns the claims. @throws jose's errors; KeySetUnavailableError */
  async verify(token: string): Promise<JWTPayload & { sub: string }> {
    const { payload, protectedHeader } = await this.verifyWithFreshKeys(token);
    const { sub } = payload;
    if (!isJwtType(protectedHeader.typ)) throw rejected('typ', payload);
    if (typeof sub !== 'string' || sub === '') throw rejected('sub', payload);
    const { audiences, audienceClaim } = this.settings;
    const named = namesIn(claimAt(payload, audienceClaim));
    if (!audiences.some((audience) => named.includes(audience))) throw rejected(audienceClaim, payload);
    return { ...payload, sub };
  }

  /** A provider may replace a key without giving the new one another ID, or any. */
  private async verifyWithFreshKeys(token: string): Promise<JWTVerifyResult> {
    try {
      return await this.verifyWithAnyKey(token);
    } catch (error) {
      const mayHaveRotated = error instanceof errors.JWSSignatureVerificationFailed;
      if (!mayHaveRotated || !(await this.keySet.refresh())) throw error;
      return this.verifyWithAnyKey(token);
    }
  }

  /** Several keys are possible if the token, or the key set, has no key IDs. */
  private async verifyWithAnyKey(token: string): Promise<JWTVerifyResult> {
    try {
      return await jwtVerify(token, (...parameters) => this.keySet.find(...parameters), this.options);
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        try {
          return await jwtVerify(token, key, this.options);
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }
}

/** RFC 9068 §2.1 names access tokens `at+jwt`; a media type's prefix can be left out (RFC 7515 §4.1.9). */
function isJwtType(typ: unknown): boolean {
  return typ === undefined || (typeof typ === 'string' && /^(application\/)?(at\+)?jwt$/i.test(typ));
}

function rejected(claim: string, payload: JWTPayload): Error {
  return new errors.JWTClaimValidationFailed(`unexpected "${claim}"`, payload, claim);
}
