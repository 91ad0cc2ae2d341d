import type { ErrorCode } from '../errors.ts';
import type { ConnectionKey, EncryptedTokens, RealmId } from './connection.ts';

/** A connect link that a flow was started with. It is consumed when a connection made through it is stored. */
export interface UsedLink {
  id: string;
  expiresAt: Date;
}

/** What a flow carries from connect to callback, besides its organization. */
export interface FlowOptions {
  /** Where the browser returns to; absent for the default page. */
  returnUrl?: string | undefined;
  /** The only company that the flow may connect. */
  pinnedRealmId?: RealmId | undefined;
  link?: UsedLink | undefined;
}

/** A grant that was exchanged and is not a connection yet. Its tokens are bound to the connection that it will become. */
export interface PendingGrant extends ConnectionKey {
  /** The ID of the grant, and of the connection that it will become. */
  tokenId: string;
  realmId: RealmId;
  tokens: EncryptedTokens;
  intuitTid: string | undefined;
  actor: string;
  stateId: string;
  pinnedRealmId: RealmId | undefined;
  link: UsedLink | undefined;
  /**
   * - `received`: its company was not verified yet.
   * - `unconfirmed`: waits for the frontend's confirmation.
   * - `unwanted`: is to be revoked once its company is proven.
   */
  phase: 'received' | 'unconfirmed' | 'unwanted';
  companyName: string | undefined;
  /** When the provider confirmed the company; absent while it is unproven. */
  verifiedAt: Date | undefined;
  /** When the confirmation expires; absent unless the grant waits for one. */
  confirmableUntil: Date | undefined;
  /** When the worker looks at it next. Until then the process that received it completes it. */
  nextAttemptAt: Date;
  createdAt: Date;
}

/** How a callback ended, for its browser. */
export type CallbackOutcome =
  | { kind: 'connected' }
  /** Waits for the confirmation of this grant. */
  | { kind: 'pending'; tokenId: string }
  /** The user declined, or the provider returned another error of RFC 6749 §4.1.2.1. */
  | { kind: 'declined'; error: string }
  | { kind: 'failed'; code: ErrorCode };
