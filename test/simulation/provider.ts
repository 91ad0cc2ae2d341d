import type { Replica } from './replica.ts';
import type { EndReason, NewestTokenState, TokenFamily, TokenResponse } from './token-family.ts';
import { DAY, HOUR } from './virtual-time.ts';

const ACCESS_TOKEN_MS = HOUR;
const REFRESH_TOKEN_MS = 100 * DAY;
/** The lifetime of an authorization, from the consent. */
export const AUTHORIZATION_MS = 5 * 365 * DAY;
const GRACE_MS = DAY;
/** The service's lease: other replicas may assume only after it that the process which rotated a token has ended. */
const LEASE_MS = 15_000;

interface ProviderOptions {
  now: () => number;
  rotationIntervalMs: () => number;
  /** Whether a response contains no lifetime of the refresh token and of the authorization. */
  omitsLifetimes: () => boolean;
  /** Whether a replaced refresh token remains valid for a day. */
  hasGracePeriod: boolean;
}

/**
 * The provider at its strictest: a refresh token is replaced about once a day, the old one becomes invalid immediately
 * unless there is a grace period, and its use ends the family. A new consent or a revocation ends all families of the company.
 */
export class Provider {
  readonly hasGracePeriod: boolean;
  private readonly now: () => number;
  private readonly rotationIntervalMs: () => number;
  private readonly omitsLifetimes: () => boolean;
  /** By each of their refresh tokens. */
  private readonly families = new Map<string, TokenFamily>();
  private readonly familiesByNumber = new Map<number, TokenFamily>();
  private readonly newestFamilies = new Map<string, TokenFamily>();
  private readonly codes = new Map<string, { realmId: string; consentedAt: number }>();
  private count = 0;

  constructor({ now, rotationIntervalMs, omitsLifetimes, hasGracePeriod }: ProviderOptions) {
    this.now = now;
    this.rotationIntervalMs = rotationIntervalMs;
    this.omitsLifetimes = omitsLifetimes;
    this.hasGracePeriod = hasGracePeriod;
  }

  /** Records a user's consent. Returns the code for the callback. */
  consent(realmId: string, consentedAt = this.now()): string {
    const code = `code-${this.next()}`;
    this.codes.set(code, { realmId, consentedAt });
    return code;
  }

  /** Returns undefined if the code is rejected. */
  exchange(code: string, replica: Replica): TokenResponse | undefined {
    const consent = this.codes.get(code);
    if (!consent) return undefined;
    this.codes.delete(code);
    const { realmId, consentedAt } = consent;
    const previous = this.newestFamilies.get(realmId);
    if (previous && !this.endOf(previous)) this.endFamily(previous, 'new consent'); // its limit may have passed before
    const family: TokenFamily = {
      number: this.next(),
      realmId,
      authorizationEndsAt: consentedAt + AUTHORIZATION_MS,
      refreshToken: '',
      previousToken: undefined,
      rotatedAt: 0,
      rotationIntervalMs: this.rotationIntervalMs(),
      expiresAt: 0,
      end: undefined,
      holders: new Set(),
      isResponseLost: false,
      wasSavable: false,
      hasUnknownOutcome: false,
      areLifetimesUnknown: false,
      accessToken: '',
    };
    this.newestFamilies.set(realmId, family);
    this.familiesByNumber.set(family.number, family);
    this.rotate(family);
    return this.respond(family, replica, true);
  }

  /** Returns undefined if the refresh token is rejected. */
  refresh(token: string, replica: Replica): TokenResponse | undefined {
    const family = this.families.get(token);
    if (!family || this.endOf(family)) return undefined;
    if (token === family.refreshToken) {
      const isRotated = this.now() - family.rotatedAt >= family.rotationIntervalMs;
      if (isRotated) this.rotate(family);
      return this.respond(family, replica, isRotated);
    }
    if (this.isInGracePeriod(family, token)) return this.respond(family, replica, false);
    this.endFamily(family, 'reuse');
    return undefined;
  }

  /** Ends the company's newest family, whichever of its tokens is sent. */
  revoke(token: string): void {
    const family = this.families.get(token);
    const newest = family && this.newestFamilies.get(family.realmId);
    if (newest) this.endFamily(newest, 'revoked by the client');
  }

  /** Returns false if there is nothing to revoke. */
  revokeByUser(realmId: string): boolean {
    const family = this.newestFamilies.get(realmId);
    if (!family || this.endOf(family)) return false;
    this.endFamily(family, 'revoked in QuickBooks');
    return true;
  }

  /** True if a refresh with this token would succeed. */
  acceptsRefreshToken(token: string): boolean {
    const family = this.families.get(token);
    if (!family || this.endOf(family)) return false;
    return token === family.refreshToken || this.isInGracePeriod(family, token);
  }

  acceptsAccessToken(accessToken: string): boolean {
    const [, number, , expiresAt] = accessToken.split('-');
    const family = this.familiesByNumber.get(Number(number));
    return family !== undefined && family.end === undefined && Number(expiresAt) > this.now();
  }

  /** True if the token gives access to the company. */
  grantsAccess(accessToken: string, realmId: string): boolean {
    const [, number] = accessToken.split('-');
    return this.familiesByNumber.get(Number(number))?.realmId === realmId && this.acceptsAccessToken(accessToken);
  }

  familyOf(refreshToken: string): TokenFamily | undefined {
    return this.families.get(refreshToken);
  }

  /** When and why the family ended, or undefined if it is alive. */
  endOf(family: TokenFamily): TokenFamily['end'] {
    const limit = Math.min(family.expiresAt, family.authorizationEndsAt);
    if (!family.end && this.now() >= limit) {
      this.endFamily(family, limit === family.authorizationEndsAt ? 'five-year limit' : 'unused', limit);
    }
    return family.end;
  }

  /** Records that a replica did not receive a response. */
  loseResponse({ family, isRotated }: TokenResponse, replica: Replica): void {
    if (!isRotated) return;
    family.holders.delete(replica);
    family.isResponseLost = true;
  }

  newestTokenState({ holders, isResponseLost, wasSavable, rotatedAt }: TokenFamily): NewestTokenState {
    const running = [...holders].filter(({ hasEnded }) => !hasEnded);
    const isLeaseRunning = this.now() - rotatedAt < LEASE_MS;
    const isCutOff = ({ isReconnecting, isResuming, isWaitingForNode }: Replica) =>
      isReconnecting || isResuming || isWaitingForNode;
    if (wasSavable || running.some((replica) => !isCutOff(replica) || isLeaseRunning)) return 'held';
    if (running.some(({ isResuming }) => isResuming)) return 'paused';
    if (running.some(({ isWaitingForNode }) => isWaitingForNode)) return 'lagging';
    if (running.length > 0) return 'partitioned';
    return isResponseLost && holders.size === 0 ? 'response_lost' : 'process_ended';
  }

  private isInGracePeriod({ previousToken, rotatedAt }: TokenFamily, token: string): boolean {
    return this.hasGracePeriod && token === previousToken && this.now() - rotatedAt < GRACE_MS;
  }

  private rotate(family: TokenFamily): void {
    family.previousToken = family.refreshToken;
    family.refreshToken = `refresh-${family.number}-${this.next()}`;
    family.rotatedAt = this.now();
    family.expiresAt = this.now() + REFRESH_TOKEN_MS;
    family.holders = new Set();
    family.isResponseLost = false;
    family.wasSavable = false;
    this.families.set(family.refreshToken, family);
  }

  private respond(family: TokenFamily, replica: Replica, isRotated: boolean): TokenResponse {
    if (!replica.hasEnded) family.holders.add(replica);
    const now = this.now();
    family.areLifetimesUnknown = this.omitsLifetimes();
    family.accessToken = `access-${family.number}-${this.next()}-${now + ACCESS_TOKEN_MS}`;
    return {
      family,
      accessToken: family.accessToken,
      refreshToken: family.refreshToken,
      accessTokenMs: ACCESS_TOKEN_MS,
      refreshTokenMs: family.areLifetimesUnknown ? undefined : family.expiresAt - now,
      authorizationMs: family.areLifetimesUnknown ? undefined : family.authorizationEndsAt - now,
      isRotated,
    };
  }

  private endFamily(family: TokenFamily, reason: EndReason, at = this.now()): void {
    family.end ??= { reason, at, newestToken: this.newestTokenState(family) };
  }

  private next(): number {
    this.count += 1;
    return this.count;
  }
}
