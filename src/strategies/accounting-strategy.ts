import type {
  AccountingSystem,
  ActiveConnection,
  NewTokenSet,
  PlainToken,
  RealmId,
  TokenSet,
} from '../models/connection.ts';
import type { MaintenancePolicy } from '../models/maintenance.ts';

/**
 * One accounting system's protocol: no storage and no decisions.
 * Every call that reaches the provider fails with a `ProviderError`.
 */
export interface AccountingStrategy {
  readonly system: AccountingSystem;
  readonly profile: ProviderProfile;

  /** The URL of the consent page for this state. */
  authorizationUrl(state: string): string;

  /** Reads the query of the provider's redirect. @throws AppError `invalid_request` */
  parseCallback(query: unknown): CallbackParameters;

  /**
   * Reads the company from the query with which the provider sends a user who disconnected there. Undefined if it is not
   * usable; absent if the provider has no such page.
   */
  parseDisconnected?(query: unknown): RealmId | undefined;

  /** Exchanges the code of a callback for tokens: once, whatever happens. */
  exchangeCode(callback: AuthorizedCallback): Promise<NewGrant>;

  /**
   * Exchanges a refresh token for the next token set: once, whatever happens.
   * @param maySend asked when the connection to the provider is open; if it returns false, nothing is sent and the call
   * fails as `unavailable` with `isTooLate`
   */
  refresh(refreshToken: PlainToken, maySend?: () => boolean): Promise<TokenSet>;

  /** Revokes a grant. A grant that is already revoked counts as a success. */
  revoke(refreshToken: PlainToken): Promise<void>;

  /** Proves that a token gives access to a company. Fails as `rejected` if it does not. */
  readCompany(realmId: RealmId, accessToken: PlainToken): Promise<Company>;
}

/** What the provider's redirect contained: a code, or the error in its place. */
export type CallbackParameters = AuthorizedCallback | DeclinedCallback;

/** The user agreed. */
export interface AuthorizedCallback {
  state: string;
  code: string;
  /** Absent for a provider that names the company only after the exchange. */
  realmId?: RealmId;
}

/** The user declined, or the provider failed. */
export interface DeclinedCallback {
  state: string;
  error: string;
}

/** A grant that no connection uses yet. */
export interface NewGrant {
  realmId: RealmId;
  tokens: NewTokenSet;
}

/** What the provider returns about a company. */
export interface Company {
  /** At most 255 characters; absent if the provider returned none. */
  name: string | undefined;
}

/** What distinguishes one provider from another, besides its protocol. */
export interface ProviderProfile {
  /** Its name for people. */
  title: string;
  /** Where it sends browsers back to. */
  redirectUri: string;
  /** Total time of one call in milliseconds. */
  timeoutMs: number;
  /** The form of a company's ID; absent if any text can be one. */
  companyId?: { pattern: RegExp; message: string };
  api: ProviderApi;
  maintenance: MaintenancePolicy;
}

/** How many calls to one company the provider accepts; 0: any number. */
export interface CompanyLimits {
  perSecond: number;
  perMinute: number;
}

/** How the gateway reaches the provider's API. */
export interface ProviderApi {
  baseUrl: string;
  /** The path that every resource of the company is below, without a trailing slash. */
  companyPath(realmId: RealmId): string;
  /** Sent with every request. */
  headers: Record<string, string>;
  /** Time from the last byte of a request to the headers of its response, in milliseconds. */
  timeoutMs: number;
  /** Absent if there are none. */
  limits?: CompanyLimits;
  /** Returns the resource that a caller means who knows the organization as the company. */
  mapResource?(resource: string, connection: Pick<ActiveConnection, 'organizationId' | 'realmId'>): string;
  /** The query parameter, in lower case, by which the provider recognises a POST that is repeated. */
  idempotencyParameter?: string;
  /** Resources that a POST only reads: long queries are posted. */
  readsByPost?: readonly string[];
  /** A second path where the gateway is mounted, for the provider's own client libraries. */
  nativePath?: string;
}
