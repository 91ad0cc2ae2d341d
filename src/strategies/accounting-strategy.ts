import type { AccountingSystem, NewTokenSet, TokenSet } from '../models/connection.ts';

/**
 * How one accounting system speaks: protocol alone, no storage and no decisions.
 * Every call but the first goes to the provider, and fails with a `ProviderError`.
 */
export interface AccountingStrategy {
  readonly system: AccountingSystem;

  /** The consent page's address for this state. */
  authorizationUrl(state: string): string;

  /** Trades a code for tokens: once, whatever happens. */
  exchangeCode(code: string): Promise<NewTokenSet>;

  /** Trades a refresh token for the next token set: once, whatever happens. */
  refresh(refreshToken: string): Promise<TokenSet>;

  /** Ends a grant. A grant that is already gone is as good as ended. */
  revoke(refreshToken: string): Promise<void>;

  /** The company's name, absent where the answer holds none. Fails as `refused` where the token does not open the company. */
  companyName(realmId: string, accessToken: string): Promise<string | undefined>;
}

/**
 * Whom a provider's failure concerns.
 * - `refused`: this grant, code or company alone.
 * - `misconfigured`: this service's key pair or request; nobody's connection is at fault.
 * - `unavailable`: the provider; the same call may succeed later.
 * - `unreadable`: the provider; it accepted the call, and the answer is no answer.
 */
type ProviderFailure = 'refused' | 'misconfigured' | 'unavailable' | 'unreadable';

/** What is kept of a provider's failure. Never its text, which can quote tokens, and never a cause. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';

  constructor(
    readonly failure: ProviderFailure,
    readonly facts: {
      /** Absent where no answer came. */
      status?: number | undefined;
      /** A known error code of RFC 6749 §5.2, or the code of a failed connection. */
      reason?: string | undefined;
      intuitTid?: string | undefined;
      /** The provider's own wish, in seconds. */
      retryAfterSeconds?: number | undefined;
      /** True where the provider may have done what was asked: a token that was sent may be used up. */
      outcomeUnknown?: boolean;
    } = {},
  ) {
    super(`provider ${failure}: ${[facts.status, facts.reason].filter(Boolean).join(' ') || 'no answer'}`);
  }

  /** As it stands in the log. */
  toLog(): object {
    const { status, reason, intuitTid, retryAfterSeconds } = this.facts;
    return { failure: this.failure, status, reason, intuit_tid: intuitTid, retry_after_s: retryAfterSeconds };
  }
}
