import { createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fernet } from '../../src/crypto/fernet.ts';
import { RowDigest } from '../../src/crypto/row-digest.ts';

const [NEW, OLD] = [Fernet.generateKey(), Fernet.generateKey()];
const parts = fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { maxLength: 6 });

describe('RowDigest', () => {
  const digest = new RowDigest([NEW, OLD]);

  it('verifies exactly the parts that were signed', () => {
    fc.assert(
      fc.property(parts, parts, (signed, others) => {
        const signature = digest.sign(signed);
        expect(signature).toMatch(/^[\w-]{43}$/);
        expect(digest.verify(signed, signature)).toBe(true);
        expect(digest.verify(others, signature)).toBe(JSON.stringify(others) === JSON.stringify(signed));
      }),
    );
  });

  it.each([
    [
      ['a', 'bc'],
      ['ab', 'c'],
    ],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [['a', ''], ['a']],
    [['","'], ['', '']],
  ])('distinguishes %j from %j', (signed, others) => {
    expect(digest.verify(others, digest.sign(signed))).toBe(false);
  });

  it('signs with the first key and verifies with any key', () => {
    const [before, after] = [new RowDigest([OLD]).sign(['a']), digest.sign(['a'])];
    expect([digest.verify(['a'], before), digest.isCurrent(['a'], before)]).toEqual([true, false]);
    expect([digest.verify(['a'], after), digest.isCurrent(['a'], after)]).toEqual([true, true]);
    expect(new RowDigest([OLD]).verify(['a'], after)).toBe(false);
    expect(new RowDigest([Fernet.generateKey()]).verify(['a'], before)).toBe(false);
  });

  it.each(['', 'x', '=', 'é', 'A'.repeat(42), 'A'.repeat(44)])('rejects the signature %j', (signature) => {
    expect(digest.verify(['a'], signature)).toBe(false);
    expect(digest.isCurrent(['a'], signature)).toBe(false);
  });

  it('signs with a key derived by HKDF-SHA-256, never with the encryption key itself', () => {
    const derived = hkdfSync('sha256', Buffer.from(NEW, 'base64url'), '', 'oauth_tokens.token_digest', 32);
    const expected = createHmac('sha256', Buffer.from(derived)).update('["a","b"]').digest('base64url');
    expect(digest.sign(['a', 'b'])).toBe(expected);
  });
});
