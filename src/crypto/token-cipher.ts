import type { NewTokenSet, SealedTokens, TokenSet } from '../models/connection.ts';
import type { Fernet } from './fernet.ts';

/** What of an earlier token set goes on where a refresh answers no new value. */
type Previous = Omit<SealedTokens, 'intuitTid'>;

/** Seals a new connection's tokens for storage. */
export function seal(fernet: Fernet, tokens: NewTokenSet): SealedTokens {
  return {
    ...tokens,
    accessToken: fernet.encrypt(tokens.accessToken),
    refreshToken: fernet.encrypt(tokens.refreshToken),
  };
}

/** Seals a refresh's answer, all of it with the newest key; what it does not hold goes on as it was. */
export function reseal(fernet: Fernet, tokens: TokenSet, previous: Previous): SealedTokens {
  const ownEnd = tokens.refreshTokenExpiresAt ?? previous.refreshTokenExpiresAt;
  const hardEnd = tokens.refreshTokenHardExpiresAt ?? previous.refreshTokenHardExpiresAt;
  return {
    accessToken: fernet.encrypt(tokens.accessToken),
    accessTokenExpiresAt: tokens.accessTokenExpiresAt,
    refreshToken: fernet.encrypt(tokens.refreshToken ?? fernet.decrypt(previous.refreshToken)),
    refreshTokenExpiresAt: hardEnd && hardEnd < ownEnd ? hardEnd : ownEnd,
    refreshTokenHardExpiresAt: hardEnd,
    intuitTid: tokens.intuitTid,
  };
}
