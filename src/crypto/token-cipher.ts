import type {
  Ciphertext,
  ConnectionKey,
  EncryptedTokens,
  NewTokenSet,
  PlainToken,
  RealmId,
} from '../models/connection.ts';
import { Fernet } from './fernet.ts';
import { RowDigest } from './row-digest.ts';

/** The row that tokens are bound to. */
export interface TokenOwner extends ConnectionKey {
  tokenId: string;
  realmId: RealmId;
}

/** A row's tokens as they are stored, bound to the row. */
export type BoundTokens = Pick<EncryptedTokens, 'accessToken' | 'refreshToken' | 'digest'>;

/** Stored tokens do not belong to the row that they were read from. */
export class TokenBindingError extends Error {
  override readonly name = 'TokenBindingError';

  constructor() {
    super('the stored tokens do not belong to this row, or no key can verify them');
  }
}

/** Encrypts tokens for storage and binds them to their row. The only way from a plain token to a stored one and back. */
export class TokenCipher {
  private readonly fernet: Fernet;
  private readonly rowDigest: RowDigest;

  /** @param encryptionKeys Fernet keys: the first encrypts, all decrypt. */
  constructor(encryptionKeys: readonly string[]) {
    this.fernet = new Fernet(encryptionKeys);
    this.rowDigest = new RowDigest(encryptionKeys);
  }

  /** Encrypts a token set for one row. */
  encryptTokens(owner: TokenOwner, tokens: NewTokenSet): EncryptedTokens {
    const { accessTokenExpiresAt, refreshTokenExpiresAt, isRefreshExpiryAssumed, authorizationExpiresAt } = tokens;
    const accessToken = this.fernet.encrypt(tokens.accessToken);
    const refreshToken = this.fernet.encrypt(tokens.refreshToken);
    return {
      accessToken,
      accessTokenExpiresAt,
      refreshToken,
      refreshTokenExpiresAt,
      isRefreshExpiryAssumed,
      authorizationExpiresAt,
      digest: this.rowDigest.sign(boundParts(owner, { accessToken, refreshToken })),
    };
  }

  /** Checks that the tokens were stored for this row. @throws TokenBindingError */
  verify(owner: TokenOwner, tokens: BoundTokens): void {
    if (!this.rowDigest.verify(boundParts(owner, tokens), tokens.digest)) throw new TokenBindingError();
  }

  /** @throws TokenBindingError, InvalidFernetToken */
  decryptAccessToken(owner: TokenOwner, tokens: BoundTokens): PlainToken {
    this.verify(owner, tokens);
    return this.decrypt(tokens.accessToken);
  }

  /** @throws TokenBindingError, InvalidFernetToken */
  decryptRefreshToken(owner: TokenOwner, tokens: BoundTokens): PlainToken {
    this.verify(owner, tokens);
    return this.decrypt(tokens.refreshToken);
  }

  /** Encrypts one token that is stored apart from a connection. */
  encrypt(token: PlainToken): Ciphertext {
    return this.fernet.encrypt(token);
  }

  /** @throws InvalidFernetToken */
  decrypt(ciphertext: Ciphertext): PlainToken {
    return this.fernet.decrypt(ciphertext) as PlainToken;
  }

  /** True if the first key encrypted the token. */
  isCurrent(ciphertext: Ciphertext): boolean {
    return this.fernet.isCurrent(ciphertext);
  }

  /** The same tokens under the first key, or undefined if they are already. @throws TokenBindingError, InvalidFernetToken */
  rotateTokens(owner: TokenOwner, tokens: BoundTokens): BoundTokens | undefined {
    this.verify(owner, tokens);
    const accessToken = this.rotate(tokens.accessToken) ?? tokens.accessToken;
    const refreshToken = this.rotate(tokens.refreshToken) ?? tokens.refreshToken;
    const parts = boundParts(owner, { accessToken, refreshToken });
    if (this.rowDigest.isCurrent(parts, tokens.digest)) return undefined;
    return { accessToken, refreshToken, digest: this.rowDigest.sign(parts) };
  }

  /** The same token under the first key, or undefined if it is already. @throws InvalidFernetToken */
  rotate(ciphertext: Ciphertext): Ciphertext | undefined {
    return this.fernet.isCurrent(ciphertext) ? undefined : this.fernet.encrypt(this.fernet.decrypt(ciphertext));
  }
}

function boundParts(
  { tokenId, organizationId, system, realmId }: TokenOwner,
  { accessToken, refreshToken }: Pick<BoundTokens, 'accessToken' | 'refreshToken'>,
): string[] {
  return [tokenId, organizationId, system, realmId, accessToken, refreshToken];
}
