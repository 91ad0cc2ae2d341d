import { describe, expect, it } from '@jest/globals';
import { Fernet, InvalidFernetToken } from '../../src/crypto/fernet.ts';
import { TokenBindingError, TokenCipher, type TokenOwner } from '../../src/crypto/token-cipher.ts';
import type { Ciphertext, NewTokenSet, OrganizationId, PlainToken, RealmId } from '../../src/models/connection.ts';
import { decryptWithPackage } from '../support/fernet-package.ts';

const NEW_KEY = Fernet.generateKey();
const OLD_KEY = Fernet.generateKey();

const OWNER: TokenOwner = {
  tokenId: '6f0c4d0e-0000-4000-8000-000000000001',
  organizationId: 'acme' as OrganizationId,
  system: 'quickbooks',
  realmId: '9341452000000001' as RealmId,
};
const TOKENS: NewTokenSet = {
  accessToken: 'the access token' as PlainToken,
  accessTokenExpiresAt: new Date('2026-02-10T15:00:00.000Z'),
  refreshToken: 'the refresh token' as PlainToken,
  refreshTokenExpiresAt: new Date('2026-05-21T14:00:00.000Z'),
  isRefreshExpiryAssumed: true,
  authorizationExpiresAt: new Date('2031-02-10T14:00:00.000Z'),
  intuitTid: '1-tid',
};

/** Every field of a row that its tokens are bound to, with another row's value. */
const OTHER_OWNERS: [what: string, owner: TokenOwner][] = [
  ['row', { ...OWNER, tokenId: '6f0c4d0e-0000-4000-8000-000000000002' }],
  ['organization', { ...OWNER, organizationId: 'globex' as OrganizationId }],
  ['organization with other capitals', { ...OWNER, organizationId: 'ACME' as OrganizationId }],
  ['accounting system', { ...OWNER, system: 'ledgerly' }],
  ['company', { ...OWNER, realmId: '9341452000000002' as RealmId }],
];

describe('TokenCipher', () => {
  const cipher = new TokenCipher([NEW_KEY, OLD_KEY]);

  it('encrypts both tokens so that any Fernet implementation with the key decrypts them', () => {
    const encrypted = cipher.encryptTokens(OWNER, TOKENS);
    expect(decryptWithPackage(NEW_KEY, encrypted.accessToken)).toBe('the access token');
    expect(decryptWithPackage(NEW_KEY, encrypted.refreshToken)).toBe('the refresh token');
    expect(JSON.stringify(encrypted)).not.toMatch(/the (access|refresh) token/);
  });

  it('keeps the lifetimes as they are', () => {
    const { accessToken: _access, refreshToken: _refresh, intuitTid: _tid, ...lifetimes } = TOKENS;
    expect(cipher.encryptTokens(OWNER, TOKENS)).toEqual({
      ...lifetimes,
      accessToken: expect.stringMatching(/^gAAAA/),
      refreshToken: expect.stringMatching(/^gAAAA/),
      digest: expect.stringMatching(/^[\w-]{43}$/),
    });
  });

  it('decrypts each token for the row that it was encrypted for', () => {
    const encrypted = cipher.encryptTokens(OWNER, TOKENS);
    expect(cipher.decryptAccessToken(OWNER, encrypted)).toBe('the access token');
    expect(cipher.decryptRefreshToken(OWNER, encrypted)).toBe('the refresh token');
  });

  it('encrypts with the first key and decrypts with any key', () => {
    const before = new TokenCipher([OLD_KEY]).encryptTokens(OWNER, TOKENS);
    expect(cipher.decryptRefreshToken(OWNER, before)).toBe('the refresh token');
    const after = cipher.encryptTokens(OWNER, TOKENS);
    expect(new TokenCipher([NEW_KEY]).decryptRefreshToken(OWNER, after)).toBe('the refresh token');
    expectUnusable(new TokenCipher([OLD_KEY]), OWNER, after, TokenBindingError);
  });

  it.each(OTHER_OWNERS)('rejects tokens that were copied to another %s', (_, other) => {
    expectUnusable(cipher, other, cipher.encryptTokens(OWNER, TOKENS), TokenBindingError);
  });

  it.each(OTHER_OWNERS)('rejects one token that was copied to another %s', (_, other) => {
    const [mine, theirs] = [cipher.encryptTokens(OWNER, TOKENS), cipher.encryptTokens(other, TOKENS)];
    expectUnusable(cipher, other, { ...theirs, refreshToken: mine.refreshToken }, TokenBindingError);
    expectUnusable(cipher, other, { ...theirs, accessToken: mine.accessToken }, TokenBindingError);
  });

  it('rejects a token that was copied to the other column', () => {
    const encrypted = cipher.encryptTokens(OWNER, TOKENS);
    const { accessToken, refreshToken } = encrypted;
    expectUnusable(cipher, OWNER, { ...encrypted, refreshToken: accessToken }, TokenBindingError);
    expectUnusable(cipher, OWNER, { ...encrypted, accessToken: refreshToken }, TokenBindingError);
    const swapped = { ...encrypted, accessToken: refreshToken, refreshToken: accessToken };
    expectUnusable(cipher, OWNER, swapped, TokenBindingError);
  });

  it('rejects an older token of the same row beside a newer one', () => {
    const [older, newer] = [cipher.encryptTokens(OWNER, TOKENS), cipher.encryptTokens(OWNER, TOKENS)];
    expectUnusable(cipher, OWNER, { ...newer, refreshToken: older.refreshToken }, TokenBindingError);
  });

  it.each(['', 'x', 'A'.repeat(43)])('rejects tokens with the digest %j', (digest) => {
    expectUnusable(cipher, OWNER, { ...cipher.encryptTokens(OWNER, TOKENS), digest }, TokenBindingError);
  });

  it('explains what is wrong without quoting a token', () => {
    const error = errorOf(() =>
      cipher.decryptAccessToken(OWNER, { ...cipher.encryptTokens(OWNER, TOKENS), digest: '' }),
    );
    expect(error).toMatchObject({ name: 'TokenBindingError', message: expect.stringMatching(/belong to this row/) });
    expect(`${error}${JSON.stringify(error)}`).not.toContain('gAAAA');
  });

  describe('for a token that is stored apart from a connection', () => {
    it('encrypts with the first key and decrypts with any key', () => {
      const ciphertext = cipher.encrypt('a token' as PlainToken);
      expect(decryptWithPackage(NEW_KEY, ciphertext)).toBe('a token');
      expect(cipher.decrypt(new TokenCipher([OLD_KEY]).encrypt('a token' as PlainToken))).toBe('a token');
    });

    it('rejects what no key encrypted', () => {
      const foreign = new TokenCipher([Fernet.generateKey()]).encrypt('a token' as PlainToken);
      for (const ciphertext of [foreign, '' as Ciphertext]) {
        expect(() => cipher.decrypt(ciphertext)).toThrow(InvalidFernetToken);
        expect(() => cipher.rotate(ciphertext)).toThrow(InvalidFernetToken);
      }
    });

    it('rotates it once, to the first key', () => {
      const rotated = cipher.rotate(new TokenCipher([OLD_KEY]).encrypt('a token' as PlainToken));
      expect(decryptWithPackage(NEW_KEY, rotated ?? '')).toBe('a token');
      expect(cipher.rotate(rotated as Ciphertext)).toBeUndefined();
    });
  });

  describe('rotating the keys', () => {
    it('re-encrypts tokens of an older key, so that it is no longer needed', () => {
      const rotated = cipher.rotateTokens(OWNER, new TokenCipher([OLD_KEY]).encryptTokens(OWNER, TOKENS));
      const alone = new TokenCipher([NEW_KEY]);
      expect(rotated && alone.decryptAccessToken(OWNER, rotated)).toBe('the access token');
      expect(rotated && alone.decryptRefreshToken(OWNER, rotated)).toBe('the refresh token');
    });

    it('leaves tokens of the first key as they are', () => {
      expect(cipher.rotateTokens(OWNER, cipher.encryptTokens(OWNER, TOKENS))).toBeUndefined();
      const rotated = cipher.rotateTokens(OWNER, new TokenCipher([OLD_KEY]).encryptTokens(OWNER, TOKENS));
      expect(rotated && cipher.rotateTokens(OWNER, rotated)).toBeUndefined();
    });

    it.each(OTHER_OWNERS)('does not bind tokens to another %s that they were copied to', (_, other) => {
      const copied = new TokenCipher([OLD_KEY]).encryptTokens(OWNER, TOKENS);
      expect(() => cipher.rotateTokens(other, copied)).toThrow(TokenBindingError);
    });

    it('rejects tokens that no key can verify', () => {
      const foreign = new TokenCipher([Fernet.generateKey()]).encryptTokens(OWNER, TOKENS);
      expect(() => cipher.rotateTokens(OWNER, foreign)).toThrow(TokenBindingError);
    });
  });

  it('requires a key', () => {
    expect(() => new TokenCipher([])).toThrow(TypeError);
  });
});

function expectUnusable(
  cipher: TokenCipher,
  owner: TokenOwner,
  tokens: Parameters<TokenCipher['decryptAccessToken']>[1],
  error: new () => Error,
): void {
  expect(() => cipher.decryptAccessToken(owner, tokens)).toThrow(error);
  expect(() => cipher.decryptRefreshToken(owner, tokens)).toThrow(error);
  expect(() => cipher.rotateTokens(owner, tokens)).toThrow(error);
}

function errorOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
