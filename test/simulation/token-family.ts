import type { Replica } from './replica.ts';

/** Why a token family has ended. */
export type EndReason =
  | 'revoked in QuickBooks'
  | 'five-year limit'
  | 'unused'
  | 'reuse'
  | 'revoked by the client'
  | 'new consent';

/** Where the newest refresh token is. `held`: with a process that runs and can reach the database, or did. */
export type NewestTokenState = 'held' | 'paused' | 'lagging' | 'partitioned' | 'process_ended' | 'response_lost';

/** The tokens that descend from one consent. Instants are in milliseconds since 1970. */
export interface TokenFamily {
  number: number;
  realmId: string;
  authorizationEndsAt: number;
  refreshToken: string;
  previousToken: string | undefined;
  rotatedAt: number;
  rotationIntervalMs: number;
  expiresAt: number;
  end: { reason: EndReason; at: number; newestToken: NewestTokenState } | undefined;
  /** The processes that received the newest refresh token. */
  holders: Set<Replica>;
  isResponseLost: boolean;
  /** True once a process that holds the newest refresh token could have saved it, whether or not it did. */
  wasSavable: boolean;
  /** True after a refresh whose outcome the client cannot know, until the next response. */
  hasUnknownOutcome: boolean;
  /** True if the last response contained no lifetimes. */
  areLifetimesUnknown: boolean;
  /** The last access token that was issued, whether or not it was received. */
  accessToken: string;
}

/** A response of the token endpoint. */
export interface TokenResponse {
  family: TokenFamily;
  accessToken: string;
  refreshToken: string;
  accessTokenMs: number;
  /** Undefined if the response does not contain it. */
  refreshTokenMs: number | undefined;
  authorizationMs: number | undefined;
  isRotated: boolean;
}
