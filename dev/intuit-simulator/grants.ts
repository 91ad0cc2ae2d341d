import { loadGrants, saveGrants } from './grant-file.ts';
import { randomAccessToken, randomCode, randomRefreshToken } from './random-values.ts';

/** The rules for grants and tokens. Lifetimes are in seconds. */
export interface GrantSettings {
  now: () => Date;
  accessTokenSeconds: number;
  refreshTokenSeconds: number;
  /** The lifetime of the authorization, which no refresh extends. */
  hardSeconds: number;
  /** Whether the previous refresh token is still accepted, and the current one returned for it: Intuit's 24 hours. */
  rotationGrace: boolean;
  /** Whether a refresh token that was already used revokes the whole grant. */
  reuseRevokesFamily: boolean;
  /** Whether a new consent revokes the company's older grants, and a revocation all of them. */
  oneGrantPerCompany: boolean;
  /** A JSON file that keeps the grants between runs. */
  file?: string;
}

/** The result of one consent: tokens for one company. Instants are in milliseconds since 1970. */
export interface Grant {
  realmId: string;
  consentedAt: number;
  accessTokens: { value: string; expiresAt: number }[];
  refreshToken: string;
  refreshTokenExpiresAt: number;
  usedRefreshTokens: string[];
  revoked: boolean;
}

interface Code {
  realmId: string;
  redirectUri: string;
  expiresAt: number;
  grant?: Grant;
}

/** Newly issued tokens, and the seconds until each expires. */
export interface IssuedTokens {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshTokenExpiresIn: number;
  hardExpiresIn: number;
}

const CODE_LIFETIME_MS = 10 * 60 * 1000;

/** Codes, and the grants that they are exchanged for. Methods return undefined for a rejection: Intuit gives no reason either. */
export class Grants {
  private readonly settings: GrantSettings;
  private readonly codes = new Map<string, Code>();
  private readonly grants: Grant[];
  /** The grant of each token that was issued, without expired access tokens. */
  private readonly grantByToken = new Map<string, Grant>();

  /** Loads the settings' file, if it exists. */
  constructor(settings: GrantSettings) {
    this.settings = settings;
    this.grants = settings.file === undefined ? [] : loadGrants(settings.file);
    for (const grant of this.grants) {
      const accessTokens = grant.accessTokens.map(({ value }) => value);
      for (const token of [...accessTokens, grant.refreshToken, ...grant.usedRefreshTokens])
        this.grantByToken.set(token, grant);
    }
  }

  /** Returns a code for one exchange within 10 minutes. */
  issueCode(realmId: string, redirectUri: string): string {
    const code = randomCode();
    this.codes.set(code, { realmId, redirectUri, expiresAt: this.now() + CODE_LIFETIME_MS });
    return code;
  }

  /** Exchanges a code for a new grant. A second exchange is rejected, and revokes the grant of the first. */
  exchange(value: string, redirectUri: string): IssuedTokens | undefined {
    const code = this.codes.get(value);
    if (code?.grant) this.revokeAll([code.grant]);
    if (!code || code.grant || code.redirectUri !== redirectUri || code.expiresAt <= this.now()) return undefined;
    if (this.settings.oneGrantPerCompany) this.revokeCompany(code.realmId);

    const grant: Grant = {
      realmId: code.realmId,
      consentedAt: this.now(),
      accessTokens: [],
      refreshToken: '',
      refreshTokenExpiresAt: 0,
      usedRefreshTokens: [],
      revoked: false,
    };
    code.grant = grant;
    this.grants.push(grant);
    this.rotateRefreshToken(grant);
    return this.issue(grant);
  }

  /** Issues a new access token. @param rotate whether the refresh token is replaced too */
  refresh(token: string, rotate = true): IssuedTokens | undefined {
    const grant = this.grantByToken.get(token);
    if (!grant || !this.isRefreshable(grant)) return undefined;
    if (token === grant.refreshToken) {
      if (rotate) {
        grant.usedRefreshTokens.push(token);
        this.rotateRefreshToken(grant);
      }
      return this.issue(grant);
    }
    if (this.settings.rotationGrace && token === grant.usedRefreshTokens.at(-1)) return this.issue(grant);
    if (this.settings.reuseRevokesFamily && grant.usedRefreshTokens.includes(token)) this.revokeAll([grant]);
    return undefined;
  }

  /** Revokes the grant of a valid access or refresh token. False if there is none. */
  revoke(token: string): boolean {
    const grant = this.grantByToken.get(token);
    if (!grant) return false;
    const isValid = token === grant.refreshToken ? this.isRefreshable(grant) : this.companyOf(token) !== undefined;
    if (isValid) this.revokeAll(this.settings.oneGrantPerCompany ? this.grantsOf(grant.realmId) : [grant]);
    return isValid;
  }

  /** Returns the company that a valid access token gives access to. */
  companyOf(accessToken: string): string | undefined {
    const grant = this.grantByToken.get(accessToken);
    const token = grant?.accessTokens.find(({ value }) => value === accessToken);
    return grant && token && !grant.revoked && token.expiresAt > this.now() ? grant.realmId : undefined;
  }

  /** Returns the company's newest grant, with its access tokens that have not expired. */
  findNewest(realmId: string): { accessTokens: string[]; refreshToken: string; revoked: boolean } | undefined {
    const grant = this.grantsOf(realmId).at(-1);
    if (!grant) return undefined;
    const unexpired = grant.accessTokens.filter(({ expiresAt }) => expiresAt > this.now());
    const { refreshToken, revoked } = grant;
    return { accessTokens: unexpired.map(({ value }) => value), refreshToken, revoked };
  }

  /** Revokes all of the company's grants, as a user does inside QuickBooks. False if it has none. */
  revokeCompany(realmId: string): boolean {
    const grants = this.grantsOf(realmId);
    this.revokeAll(grants);
    return grants.length > 0;
  }

  /** Makes the company's access tokens expire. Its refresh tokens remain valid. */
  expireAccessTokens(realmId: string): void {
    for (const token of this.grantsOf(realmId).flatMap(({ accessTokens }) => accessTokens)) token.expiresAt = 0;
    this.save();
  }

  private now(): number {
    return this.settings.now().getTime();
  }

  private grantsOf(realmId: string): Grant[] {
    return this.grants.filter((grant) => grant.realmId === realmId);
  }

  private authorizationEnd(grant: Grant): number {
    return grant.consentedAt + this.settings.hardSeconds * 1000;
  }

  private isRefreshable(grant: Grant): boolean {
    return !grant.revoked && this.now() < Math.min(grant.refreshTokenExpiresAt, this.authorizationEnd(grant));
  }

  private rotateRefreshToken(grant: Grant): void {
    grant.refreshToken = randomRefreshToken();
    grant.refreshTokenExpiresAt = this.now() + this.settings.refreshTokenSeconds * 1000;
    this.grantByToken.set(grant.refreshToken, grant);
  }

  private issue(grant: Grant): IssuedTokens {
    const { accessTokenSeconds } = this.settings;
    const now = this.now();
    const accessToken = randomAccessToken();
    for (const { value, expiresAt } of grant.accessTokens) if (expiresAt <= now) this.grantByToken.delete(value);
    grant.accessTokens = grant.accessTokens.filter(({ expiresAt }) => expiresAt > now);
    grant.accessTokens.push({ value: accessToken, expiresAt: now + accessTokenSeconds * 1000 });
    this.grantByToken.set(accessToken, grant);
    this.save();
    return {
      accessToken,
      expiresIn: accessTokenSeconds,
      refreshToken: grant.refreshToken,
      refreshTokenExpiresIn: Math.floor((grant.refreshTokenExpiresAt - now) / 1000),
      hardExpiresIn: Math.floor((this.authorizationEnd(grant) - now) / 1000),
    };
  }

  private revokeAll(grants: Grant[]): void {
    for (const grant of grants) grant.revoked = true;
    this.save();
  }

  private save(): void {
    if (this.settings.file !== undefined) saveGrants(this.settings.file, this.grants);
  }
}
