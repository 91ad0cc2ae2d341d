import type { Replica } from './replica.ts';
import { DAY, HOUR } from './virtual-time.ts';

const ACCESS_TOKEN_MS = HOUR;
const REFRESH_TOKEN_MS = 100 * DAY;
/** From the consent on, whatever is refreshed. */
export const HARD_MS = 5 * 365 * DAY;
const GRACE_MS = DAY;
/** Nobody needs to think sooner than this that who rotated a token is gone. */
const LEASE_MS = 15_000;

/** Why a family of tokens came to its end. */
export type End = 'revoked in QuickBooks' | 'five-year end' | 'unused' | 'reuse' | 'revoked by us' | 'new consent';

/** Where the newest refresh token is. `held`: with a process that runs and reaches the database, or did. */
export type Whereabouts = 'held' | 'cut off' | 'process ended' | 'answer lost';

/** What one consent led to. Instants are in milliseconds. */
export interface Family {
  number: number;
  realmId: string;
  hardEnd: number;
  token: string;
  previous: string | undefined;
  rotatedAt: number;
  rotatesAfter: number;
  expiresAt: number;
  ended: { why: End; at: number; newest: Whereabouts } | undefined;
  /** The processes that were handed the newest token. */
  holders: Set<Replica>;
  isAnswerLost: boolean;
  /** True once a process that has the newest token could have saved it, whether or not it did. */
  wasSavable: boolean;
  /** True since a refresh whose outcome the service cannot know, until one that it does. */
  hasUnknownOutcome: boolean;
  /** The last one handed out, whether or not it arrived. */
  accessToken: string;
}

/** What the provider answers, lifetimes in milliseconds. */
export interface Issued {
  family: Family;
  accessToken: string;
  refreshToken: string;
  accessTokenMs: number;
  refreshTokenMs: number;
  hardMs: number;
  isRotated: boolean;
}

/**
 * The provider's own truth about its tokens, at its worst: a refresh token is replaced about once a day, the old value is
 * worth nothing at once (unless there is grace), and its use ends the family, as a new consent and a revocation end all
 * of the company's.
 */
export class Provider {
  private readonly families = new Map<string, Family>();
  private readonly newest = new Map<string, Family>();
  private readonly codes = new Map<string, { realmId: string; consentedAt: number }>();
  private count = 0;

  constructor(
    private readonly now: () => number,
    private readonly rotatesAfter: () => number,
    readonly hasGrace: boolean,
  ) {}

  /** A person's consent, or one given long ago. Answers a code. */
  consent(realmId: string, consentedAt = this.now()): string {
    const code = `code-${this.next()}`;
    this.codes.set(code, { realmId, consentedAt });
    return code;
  }

  exchange(code: string, by: Replica): Issued | undefined {
    const consent = this.codes.get(code);
    if (!consent) return undefined;
    this.codes.delete(code);
    const { realmId, consentedAt } = consent;
    const before = this.newest.get(realmId);
    if (before) this.end(before, 'new consent');
    const family: Family = {
      number: this.next(),
      realmId,
      hardEnd: consentedAt + HARD_MS,
      token: '',
      previous: undefined,
      rotatedAt: 0,
      rotatesAfter: this.rotatesAfter(),
      expiresAt: 0,
      ended: undefined,
      holders: new Set(),
      isAnswerLost: false,
      wasSavable: false,
      hasUnknownOutcome: false,
      accessToken: '',
    };
    this.newest.set(realmId, family);
    this.rotate(family);
    return this.issue(family, by, true);
  }

  refresh(token: string, by: Replica): Issued | undefined {
    const family = this.families.get(token);
    if (!family || this.endOf(family)) return undefined;
    if (token === family.token) {
      const isRotated = this.now() - family.rotatedAt >= family.rotatesAfter;
      if (isRotated) this.rotate(family);
      return this.issue(family, by, isRotated);
    }
    if (this.isInGrace(family, token)) return this.issue(family, by, false);
    this.end(family, 'reuse');
    return undefined;
  }

  /** Ends all of the company's grants, whichever of its tokens is sent. */
  revoke(token: string): void {
    const family = this.families.get(token);
    const newest = family && this.newest.get(family.realmId);
    if (newest) this.end(newest, 'revoked by us');
  }

  revokeByPerson(realmId: string): boolean {
    const family = this.newest.get(realmId);
    if (!family || this.endOf(family)) return false;
    this.end(family, 'revoked in QuickBooks');
    return true;
  }

  /** True where a refresh with this token would be answered. */
  accepts(token: string): boolean {
    const family = this.families.get(token);
    if (!family || this.endOf(family)) return false;
    return token === family.token || this.isInGrace(family, token);
  }

  /** True where the API takes the access token. */
  opens(accessToken: string): boolean {
    const [, number, , expiresAt] = accessToken.split('-');
    const family = this.families.get(`family-${number}`);
    return family !== undefined && family.ended === undefined && Number(expiresAt) > this.now();
  }

  familyOf(token: string): Family | undefined {
    return this.families.get(token);
  }

  /** When and why the family ended; absent while it lives. */
  endOf(family: Family): Family['ended'] {
    const end = Math.min(family.expiresAt, family.hardEnd);
    if (!family.ended && this.now() >= end) {
      this.end(family, family.hardEnd <= family.expiresAt ? 'five-year end' : 'unused');
    }
    return family.ended;
  }

  /** The answer reaches nobody. */
  loseAnswer({ family, isRotated }: Issued, by: Replica): void {
    if (!isRotated) return;
    family.holders.delete(by);
    family.isAnswerLost = true;
  }

  /** Where the newest token is now. */
  whereabouts({ holders, isAnswerLost, wasSavable, rotatedAt }: Family): Whereabouts {
    const alive = [...holders].filter(({ isGone }) => !isGone);
    const isWorthWaiting = this.now() - rotatedAt < LEASE_MS;
    if (wasSavable || alive.some(({ isHardlyBack }) => !isHardlyBack || isWorthWaiting)) return 'held';
    if (alive.length > 0) return 'cut off';
    return isAnswerLost && holders.size === 0 ? 'answer lost' : 'process ended';
  }

  private isInGrace({ previous, rotatedAt }: Family, token: string): boolean {
    return this.hasGrace && token === previous && this.now() - rotatedAt < GRACE_MS;
  }

  private rotate(family: Family): void {
    family.previous = family.token;
    family.token = `refresh-${family.number}-${this.next()}`;
    family.rotatedAt = this.now();
    family.expiresAt = this.now() + REFRESH_TOKEN_MS;
    family.holders = new Set();
    family.isAnswerLost = false;
    family.wasSavable = false;
    this.families.set(family.token, family);
    this.families.set(`family-${family.number}`, family);
  }

  private issue(family: Family, by: Replica, isRotated: boolean): Issued {
    if (!by.isGone) family.holders.add(by);
    const now = this.now();
    family.accessToken = `access-${family.number}-${this.next()}-${now + ACCESS_TOKEN_MS}`;
    return {
      family,
      accessToken: family.accessToken,
      refreshToken: family.token,
      accessTokenMs: ACCESS_TOKEN_MS,
      refreshTokenMs: family.expiresAt - now,
      hardMs: family.hardEnd - now,
      isRotated,
    };
  }

  private end(family: Family, why: End): void {
    family.ended ??= { why, at: this.now(), newest: this.whereabouts(family) };
  }

  private next(): number {
    this.count += 1;
    return this.count;
  }
}
