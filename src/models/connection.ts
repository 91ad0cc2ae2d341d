/** The accounting systems that an organization can connect. */
export type AccountingSystem = 'quickbooks';

/** Text that only `Fernet.encrypt` makes: what a token column may hold. */
export type Ciphertext = string & { readonly __brand: 'Ciphertext' };

/** What the provider answers to an exchange or a refresh, its lifetimes turned into instants. */
export interface TokenSet {
  accessToken: string;
  accessTokenExpiresAt: Date;
  /** Absent where a refresh answered none: the old one goes on. */
  refreshToken: string | undefined;
  /** The sooner of the refresh token's own and the five-year end. */
  refreshTokenExpiresAt: Date | undefined;
  /** The five-year end, which only a new consent resets; absent where the provider does not tell it. */
  refreshTokenHardExpiresAt: Date | undefined;
  /** Intuit's transaction id: its support asks for it. Not secret. */
  intuitTid: string | undefined;
}

/** A token set that holds everything a new connection needs. */
export type NewTokenSet = TokenSet & { refreshToken: string; refreshTokenExpiresAt: Date };

/** A token set as it is stored. */
export interface SealedTokens {
  accessToken: Ciphertext;
  accessTokenExpiresAt: Date;
  refreshToken: Ciphertext;
  refreshTokenExpiresAt: Date;
  refreshTokenHardExpiresAt: Date | undefined;
  intuitTid: string | undefined;
}

/** What a new connection is stored with. */
export interface NewConnection extends SealedTokens {
  tokenId: string;
  organizationId: string;
  system: AccountingSystem;
  realmId: string;
  companyName: string | undefined;
}

/** Why a connection was lost: only the person can mend it, by connecting again. */
export type LossReason = 'authorization_revoked' | 'rotation_lost' | 'refresh_token_expired';

/** Why a row is inactive. */
export type DeactivationReason = LossReason | 'disconnected' | 'replaced';

/** An organization's current connection: active, or lost and not yet mended. */
export interface Connection {
  tokenId: string;
  organizationId: string;
  system: AccountingSystem;
  realmId: string;
  companyName: string | undefined;
  accessToken: Ciphertext;
  refreshToken: Ciphertext;
  accessTokenExpiresAt: Date;
  refreshTokenExpiresAt: Date;
  refreshTokenHardExpiresAt: Date | undefined;
  isActive: boolean;
  /** Set while the connection is lost. */
  lossReason: LossReason | undefined;
  /** Counts the writes that changed the tokens or the activity; every such write names the one it judged. */
  generation: number;
  lastRefreshedAt: Date | undefined;
  deactivatedAt: Date | undefined;
  refresh: RefreshState;
  care: CareState;
}

/** How far the connection's renewal has come, as every replica sees it. */
interface RefreshState {
  /** `held`: somebody renews it now. `abandoned`: its holder never came back. */
  lease: 'free' | 'held' | 'abandoned';
  /** When a refresh began whose outcome is unknown. */
  startedAt: Date | undefined;
  /** Refreshes that failed for the provider's sake since the last that succeeded. */
  failures: number;
  /** Before this instant the provider is left alone. */
  nextAttemptAt: Date | undefined;
  /** True once it was told that renewals fail and no valid access token is left. */
  isFailing: boolean;
}

/** What the worker has done for the connection. */
interface CareState {
  /** When it looks again; absent where nothing is left to be done. */
  nextAt: Date | undefined;
  /** How often the lost connection was tried again and refused. */
  recoveries: number;
  /** True once the five-year end was told. */
  isExpiringTold: boolean;
}
