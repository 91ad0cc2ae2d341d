/** The name of an accounting system's provider, as used in URLs and rows: `quickbooks`. */
export type AccountingSystem = string;

/** Octup's ID of its customer. Opaque and case-sensitive. */
export type OrganizationId = string & { readonly __brand: 'OrganizationId' };

/** The provider's ID of a company. */
export type RealmId = string & { readonly __brand: 'RealmId' };

/** A token that can be used: never stored, logged or returned to a caller. */
export type PlainToken = string & { readonly __brand: 'PlainToken' };

/** Text that only `Fernet.encrypt` creates: the type of a token column. */
export type Ciphertext = string & { readonly __brand: 'Ciphertext' };

/** Names an organization's connection to one accounting system. */
export interface ConnectionKey {
  organizationId: OrganizationId;
  system: AccountingSystem;
}

/** What the provider returns to an exchange or a refresh, its lifetimes converted to instants. */
export interface TokenSet {
  accessToken: PlainToken;
  accessTokenExpiresAt: Date;
  /** Absent if a refresh returned none: the previous one remains valid. */
  refreshToken: PlainToken | undefined;
  /** The refresh token's own expiry, even if the authorization ends before it. */
  refreshTokenExpiresAt: Date;
  /** True if the provider returned no lifetime and the documented one was assumed. */
  isRefreshExpiryAssumed: boolean;
  /** The end of the authorization, which only a new consent extends; absent if the provider did not return it. */
  authorizationExpiresAt: Date | undefined;
  /** The provider's transaction ID, which its support asks for. Not secret. */
  intuitTid: string | undefined;
}

/** A token set with everything that a new connection needs. */
export type NewTokenSet = TokenSet & { refreshToken: PlainToken };

/**
 * Returns a token set with the refresh token's expiry as it is stored.
 * @param isTimeCertain false if the clocks disagree by which lifetimes were converted to instants: the expiry is then assumed
 */
export function withStoredExpiry(tokens: NewTokenSet, { isTimeCertain }: { isTimeCertain: boolean }): NewTokenSet {
  const limited = limitToAuthorization(tokens);
  return isTimeCertain ? limited : { ...limited, isRefreshExpiryAssumed: true };
}

/** Limits the refresh token's expiry to that of the authorization, which it never outlives. */
function limitToAuthorization(tokens: NewTokenSet): NewTokenSet {
  const { authorizationExpiresAt, refreshTokenExpiresAt } = tokens;
  if (authorizationExpiresAt === undefined || authorizationExpiresAt > refreshTokenExpiresAt) return tokens;
  return { ...tokens, refreshTokenExpiresAt: authorizationExpiresAt, isRefreshExpiryAssumed: false };
}

/** True if the refresh token has expired as the provider stated: an assumed lifetime proves nothing. */
export function isExpired(
  {
    refreshTokenExpiresAt,
    isRefreshExpiryAssumed,
  }: Pick<EncryptedTokens, 'refreshTokenExpiresAt' | 'isRefreshExpiryAssumed'>,
  now: Date,
): boolean {
  return refreshTokenExpiresAt <= now && !isRefreshExpiryAssumed;
}

/** A token set as it is stored. */
export interface EncryptedTokens {
  accessToken: Ciphertext;
  accessTokenExpiresAt: Date;
  refreshToken: Ciphertext;
  /** The earlier of the refresh token's own expiry and the end of the authorization. */
  refreshTokenExpiresAt: Date;
  isRefreshExpiryAssumed: boolean;
  authorizationExpiresAt: Date | undefined;
  /** Binds both ciphertexts to their row. */
  digest: string;
}

/** What a new connection is stored with. */
export interface NewConnection extends ConnectionKey {
  tokenId: string;
  realmId: RealmId;
  companyName: string | undefined;
  tokens: EncryptedTokens;
  /** When the provider last accepted this grant; absent while the company is unproven. */
  lastVerifiedAt: Date | undefined;
  intuitTid: string | undefined;
}

/** Why a connection was lost: only the user can restore it, by connecting again. */
export type LossReason = 'authorization_revoked' | 'rotation_lost' | 'refresh_token_expired';

/** Why a row is inactive. */
export type DeactivationReason = LossReason | 'disconnected' | 'replaced';

/** An organization's current connection: active, or lost and not yet restored. */
export type Connection = ActiveConnection | LostConnection;

/** A connection that calls can be made with. */
export interface ActiveConnection extends StoredConnection {
  state: 'active';
  tokens: EncryptedTokens;
}

/** A connection whose refresh token the provider rejected, or that expired. */
export interface LostConnection extends StoredConnection {
  state: 'lost';
  reason: LossReason;
  lostAt: Date;
  /** Absent once the ciphertext was purged. */
  tokens: EncryptedTokens | undefined;
}

/** What callers see of a connection: not its tokens. */
export type ConnectionStatus =
  | (StatusFields & {
      state: 'active';
      tokens: Pick<EncryptedTokens, 'accessTokenExpiresAt' | 'refreshTokenExpiresAt' | 'authorizationExpiresAt'>;
    })
  | (StatusFields & { state: 'lost'; reason: LossReason });

type StatusFields = Pick<StoredConnection, 'system' | 'realmId' | 'companyName' | 'lastRefreshedAt' | 'lastVerifiedAt'>;

/** A connection whose refresh token can be sent. */
export type RefreshableConnection = ActiveConnection | (LostConnection & Pick<ActiveConnection, 'tokens'>);

interface StoredConnection extends ConnectionKey {
  tokenId: string;
  realmId: RealmId;
  companyName: string | undefined;
  /** Counts the writes that changed the tokens or the state. Every such write names the generation that it read. */
  generation: number;
  lastRefreshedAt: Date | undefined;
  lastVerifiedAt: Date | undefined;
  refresh: RefreshState;
  maintenance: MaintenanceState;
}

/** The state of the connection's refresh, shared by all replicas. */
export interface RefreshState {
  /** The lease that a process is refreshing under; absent if none is. */
  owner: string | undefined;
  /** The process that has announced to take over the lease. */
  takeoverOwner: string | undefined;
  /** When a refresh started whose outcome is unknown. */
  startedAt: Date | undefined;
  /** Refreshes that the provider failed since the last success. */
  failures: number;
  /** True once `refresh_failing` was reported. */
  isFailing: boolean;
}

/** What the worker has done for the connection. */
export interface MaintenanceState {
  /** When the worker looks at it next; absent if nothing is left to do. */
  nextAt: Date | undefined;
  /** How often the lost connection was retried and rejected. */
  recoveryAttempts: number;
  /** When the user was last notified that the authorization ends. */
  expiryNotifiedAt: Date | undefined;
  /** When the company's name was last requested; absent if never. */
  companyReadAt: Date | undefined;
  /** When a browser reported that the company may have been disconnected: it is verified again if it was not since. */
  verificationRequestedAt: Date | undefined;
}
