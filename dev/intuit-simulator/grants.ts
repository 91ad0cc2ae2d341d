import { loadGrants, saveGrants } from './grant-file.ts';
import { randomAccessToken, randomCode, randomRefreshToken } from './random-values.ts';

/** How tokens live and die. Lifetimes are in seconds. */
export interface GrantSettings {
  now: () => Date;
  accessTokenSeconds: number;
  refreshTokenSeconds: number;
  /** From the consent on, whatever is refreshed. */
  hardSeconds: number;
  /** The refresh token before the newest is still taken, and answered with the newest: Intuit's 24 hours. */
  rotationGrace: boolean;
  /** A spent refresh token that comes again ends the whole family. */
  reuseRevokesFamily: boolean;
  /** A new consent ends the company's older grants, and a revocation ends all of them. */
  oneGrantPerCompany: boolean;
  /** A JSON file that keeps the grants from one start to the next. */
  file?: string;
}

/** What one consent led to: a family of tokens for one company. Instants are in milliseconds. */
export interface Grant {
  realmId: string;
  consentedAt: number;
  accessTokens: { value: string; expiresAt: number }[];
  refreshToken: string;
  refreshTokenExpiresAt: number;
  spentRefreshTokens: string[];
  revoked: boolean;
}

interface Code {
  realmId: string;
  redirectUri: string;
  expiresAt: number;
  grant?: Grant;
}

/** Tokens just handed out, with the seconds each has left. */
export interface IssuedTokens {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  refreshTokenExpiresIn: number;
  hardExpiresIn: number;
}

const codeMilliseconds = 10 * 60 * 1000;

/** Codes, tokens and their families. A refusal is `undefined`: Intuit does not say why either. */
export class Grants {
  readonly #settings: GrantSettings;
  readonly #codes = new Map<string, Code>();
  readonly #grants: Grant[];
  /** From each token ever handed out, but for expired access tokens, to its grant. */
  readonly #holders = new Map<string, Grant>();

  /** Loads the file of the settings, if there is one yet. */
  constructor(settings: GrantSettings) {
    this.#settings = settings;
    this.#grants = settings.file === undefined ? [] : loadGrants(settings.file);
    for (const grant of this.#grants) {
      const accessTokens = grant.accessTokens.map(({ value }) => value);
      for (const token of [...accessTokens, grant.refreshToken, ...grant.spentRefreshTokens])
        this.#holders.set(token, grant);
    }
  }

  /** A code for one exchange within 10 minutes. */
  issueCode(realmId: string, redirectUri: string): string {
    const code = randomCode();
    this.#codes.set(code, { realmId, redirectUri, expiresAt: this.#now() + codeMilliseconds });
    return code;
  }

  /** Turns a code into a new family. A second exchange is refused and ends the family of the first. */
  exchange(value: string, redirectUri: string): IssuedTokens | undefined {
    const code = this.#codes.get(value);
    if (code?.grant) this.#end([code.grant]);
    if (!code || code.grant || code.redirectUri !== redirectUri || code.expiresAt <= this.#now()) return undefined;
    if (this.#settings.oneGrantPerCompany) this.revokeCompany(code.realmId);

    const grant: Grant = {
      realmId: code.realmId,
      consentedAt: this.#now(),
      accessTokens: [],
      refreshToken: '',
      refreshTokenExpiresAt: 0,
      spentRefreshTokens: [],
      revoked: false,
    };
    code.grant = grant;
    this.#grants.push(grant);
    this.#renewRefreshToken(grant);
    return this.#issue(grant);
  }

  /** A new access token; the refresh token is replaced too, unless `rotate` is false. */
  refresh(token: string, rotate = true): IssuedTokens | undefined {
    const grant = this.#holders.get(token);
    if (!grant || !this.#isRefreshable(grant)) return undefined;
    if (token === grant.refreshToken) {
      if (rotate) {
        grant.spentRefreshTokens.push(token);
        this.#renewRefreshToken(grant);
      }
      return this.#issue(grant);
    }
    if (this.#settings.rotationGrace && token === grant.spentRefreshTokens.at(-1)) return this.#issue(grant);
    if (this.#settings.reuseRevokesFamily && grant.spentRefreshTokens.includes(token)) this.#end([grant]);
    return undefined;
  }

  /** Ends the family of a live access or refresh token; false when there is nothing to end. */
  revoke(token: string): boolean {
    const grant = this.#holders.get(token);
    if (!grant) return false;
    const isLive = token === grant.refreshToken ? this.#isRefreshable(grant) : this.opens(token) !== undefined;
    if (isLive) this.#end(this.#settings.oneGrantPerCompany ? this.#of(grant.realmId) : [grant]);
    return isLive;
  }

  /** The company that a live access token opens. */
  opens(accessToken: string): string | undefined {
    const grant = this.#holders.get(accessToken);
    const token = grant?.accessTokens.find(({ value }) => value === accessToken);
    return grant && token && !grant.revoked && token.expiresAt > this.#now() ? grant.realmId : undefined;
  }

  /** The company's newest family, with the access tokens that have time left. */
  newest(realmId: string): { accessTokens: string[]; refreshToken: string; revoked: boolean } | undefined {
    const grant = this.#of(realmId).at(-1);
    if (!grant) return undefined;
    const unexpired = grant.accessTokens.filter(({ expiresAt }) => expiresAt > this.#now());
    const { refreshToken, revoked } = grant;
    return { accessTokens: unexpired.map(({ value }) => value), refreshToken, revoked };
  }

  /** Ends all of the company's grants, as a person does inside QuickBooks; false when it has none. */
  revokeCompany(realmId: string): boolean {
    const grants = this.#of(realmId);
    this.#end(grants);
    return grants.length > 0;
  }

  /** Ends the company's access tokens; its refresh tokens stay valid. */
  expireAccessTokens(realmId: string): void {
    for (const token of this.#of(realmId).flatMap(({ accessTokens }) => accessTokens)) token.expiresAt = 0;
    this.#save();
  }

  #now(): number {
    return this.#settings.now().getTime();
  }

  #of(realmId: string): Grant[] {
    return this.#grants.filter((grant) => grant.realmId === realmId);
  }

  #hardEnd(grant: Grant): number {
    return grant.consentedAt + this.#settings.hardSeconds * 1000;
  }

  #isRefreshable(grant: Grant): boolean {
    return !grant.revoked && this.#now() < Math.min(grant.refreshTokenExpiresAt, this.#hardEnd(grant));
  }

  #renewRefreshToken(grant: Grant): void {
    grant.refreshToken = randomRefreshToken();
    grant.refreshTokenExpiresAt = this.#now() + this.#settings.refreshTokenSeconds * 1000;
    this.#holders.set(grant.refreshToken, grant);
  }

  #issue(grant: Grant): IssuedTokens {
    const { accessTokenSeconds } = this.#settings;
    const now = this.#now();
    const accessToken = randomAccessToken();
    for (const { value, expiresAt } of grant.accessTokens) if (expiresAt <= now) this.#holders.delete(value);
    grant.accessTokens = grant.accessTokens.filter(({ expiresAt }) => expiresAt > now);
    grant.accessTokens.push({ value: accessToken, expiresAt: now + accessTokenSeconds * 1000 });
    this.#holders.set(accessToken, grant);
    this.#save();
    return {
      accessToken,
      expiresIn: accessTokenSeconds,
      refreshToken: grant.refreshToken,
      refreshTokenExpiresIn: Math.floor((grant.refreshTokenExpiresAt - now) / 1000),
      hardExpiresIn: Math.floor((this.#hardEnd(grant) - now) / 1000),
    };
  }

  #end(grants: Grant[]): void {
    for (const grant of grants) grant.revoked = true;
    this.#save();
  }

  #save(): void {
    if (this.#settings.file !== undefined) saveGrants(this.#settings.file, this.#grants);
  }
}
