import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fernet, InvalidFernetToken } from '../../src/crypto/fernet.ts';
import { decryptWithPackage, encryptWithPackage } from '../support/fernet-package.ts';

interface Vector {
  desc?: string;
  token: string;
  now: string;
  iv: number[];
  src: string;
  secret: string;
  ttl_sec: number;
}

const KEY = Fernet.generateKey();
const OTHER = Fernet.generateKey();
const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 });

describe('Fernet with the published vectors', () => {
  it.each(vectors('generate'))('encrypts "$src" into the published token', ({ secret, src, now, iv, token }) => {
    expect(new Fernet([secret]).encrypt(src, new Date(now), Buffer.from(iv))).toBe(token);
  });

  it.each(vectors('verify'))('decrypts the published token of "$src"', ({ secret, src, now, ttl_sec, token }) => {
    expect(new Fernet([secret]).decrypt(token, ttl_sec, new Date(now))).toBe(src);
  });

  it.each(vectors('invalid'))('rejects a token with $desc', ({ secret, now, ttl_sec, token }) => {
    expect(() => new Fernet([secret]).decrypt(token, ttl_sec, new Date(now))).toThrow(InvalidFernetToken);
  });
});

describe('Fernet with the fernet package', () => {
  it('decrypts what the package encrypted, and the other way round', () => {
    const fernet = new Fernet([KEY]);
    const property = (text: string) => {
      expect(decryptWithPackage(KEY, fernet.encrypt(text))).toBe(text);
      expect(fernet.decrypt(encryptWithPackage(KEY, text))).toBe(text);
    };
    fc.assert(fc.property(texts, property), { numRuns: 50 });
  });

  it('encrypts an access token of full length so that the package decrypts it and a TEXT column holds it', () => {
    const token = new Fernet([KEY]).encrypt('x'.repeat(4096));
    expect(decryptWithPackage(KEY, token)).toBe('x'.repeat(4096));
    expect(token.length).toBeLessThan(65_535);
  });
});

describe('Fernet', () => {
  it('decrypts any text that it encrypted, and creates a different token each time', () => {
    const fernet = new Fernet([KEY]);
    for (const text of ['', 'ä€😀', 'x'.repeat(15), 'x'.repeat(16)]) {
      expect(fernet.decrypt(fernet.encrypt(text))).toBe(text);
      expect(fernet.encrypt(text)).not.toBe(fernet.encrypt(text));
    }
  });

  it('encrypts with the first key and decrypts with any key', () => {
    const old = new Fernet([KEY]).encrypt('kept');
    const rotated = new Fernet([OTHER, KEY]);
    expect(rotated.decrypt(old)).toBe('kept');
    expect(new Fernet([OTHER]).decrypt(rotated.encrypt('new'))).toBe('new');
    expect(() => new Fernet([KEY]).decrypt(rotated.encrypt('new'))).toThrow(InvalidFernetToken);
  });

  it('recognizes a token of the first key as current', () => {
    const rotated = new Fernet([OTHER, KEY]);
    expect(rotated.isCurrent(rotated.encrypt('new'))).toBe(true);
    for (const token of [new Fernet([KEY]).encrypt('old'), '', 'x', 'gAAAAA==']) {
      expect(rotated.isCurrent(token)).toBe(false);
    }
  });

  it('checks the age of a token only if a maximum is given, with a minute of clock skew', () => {
    const at = (seconds: number) => new Date(1_770_000_000_000 + seconds * 1000);
    const fernet = new Fernet([KEY]);
    const token = fernet.encrypt('x', at(0));
    expect(fernet.decrypt(token, undefined, at(1e9))).toBe('x');
    expect(fernet.decrypt(token, 60, at(60))).toBe('x');
    expect(() => fernet.decrypt(token, 60, at(61))).toThrow(InvalidFernetToken);
    expect(fernet.decrypt(token, 60, at(-60))).toBe('x');
    expect(() => fernet.decrypt(token, 60, at(-61))).toThrow(InvalidFernetToken);
  });

  it('rejects a token in which one bit was flipped', () => {
    const fernet = new Fernet([KEY]);
    const bytes = Buffer.from(fernet.encrypt('refresh token'), 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const flipped = Buffer.from(bytes);
        flipped.writeUInt8(flipped.readUInt8(at) ^ bit, at);
        expect(() => fernet.decrypt(padded(flipped))).toThrow(InvalidFernetToken);
      }
    }
  });

  it('rejects a token that was cut off or extended', () => {
    const fernet = new Fernet([KEY]);
    const token = fernet.encrypt('x');
    for (let length = 0; length < token.length; length += 1)
      expect(() => fernet.decrypt(token.slice(0, length))).toThrow(InvalidFernetToken);
    expect(() => fernet.decrypt(`${token}AAAA`)).toThrow(InvalidFernetToken);
  });

  it('accepts only one spelling of a token', () => {
    const fernet = new Fernet([KEY]);
    const token = tokenWith(/-.*_.*={1,2}$/, fernet);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = token.replace(/=+$/, '').length - 1;
    const unusedBits = token.slice(0, last) + alphabet[alphabet.indexOf(token[last] ?? '') + 1] + token.slice(last + 1);
    const spellings = [
      token.replace(/=+$/, ''),
      `${token}=`,
      `${token}\n`,
      ` ${token}`,
      `${token.slice(0, 20)}\n${token.slice(20)}`,
      token.replaceAll('-', '+').replaceAll('_', '/'),
      unusedBits,
    ];
    expect(fernet.decrypt(token)).toBe('x');
    for (const spelling of spellings) expect(() => fernet.decrypt(spelling)).toThrow(InvalidFernetToken);
  });

  it('throws the same error for every reason', () => {
    const fernet = new Fernet([KEY]);
    const foreign = new Fernet([OTHER]).encrypt('x');
    const messages = ['', 'gAAAAA', foreign].map((token) => messageOf(() => fernet.decrypt(token)));
    expect(new Set(messages)).toEqual(new Set(['not a token that one of the keys can decrypt']));
  });

  it.each([
    ['empty', ''],
    ['one byte too short', padded(Buffer.alloc(31))],
    ['one byte too long', padded(Buffer.alloc(33))],
    ['in hexadecimal', '0'.repeat(64)],
    ['without padding', KEY.replace('=', '')],
    ['followed by a line break', `${KEY}\n`],
    ['in standard base64', Buffer.alloc(32, 0xff).toString('base64')],
    ['not base64url', `${KEY.slice(0, 42)}%=`],
    ['not canonical, since unused bits are set', `${'A'.repeat(42)}B=`],
  ])('rejects a key that is %s, without quoting it', (_, key) => {
    expect(Fernet.isKey(key)).toBe(false);
    expect(() => new Fernet([KEY, key])).toThrow(TypeError);
    if (key !== '') expect(messageOf(() => new Fernet([key]))).not.toContain(key);
  });

  it('requires a key', () => {
    expect(() => new Fernet([])).toThrow(TypeError);
  });

  it('generates a different valid key each time', () => {
    expect(Fernet.isKey(KEY)).toBe(true);
    expect(KEY).toHaveLength(44);
    expect(KEY).not.toBe(OTHER);
  });
});

function vectors(name: string): Vector[] {
  return JSON.parse(readFileSync(new URL(`../fernet/${name}.json`, import.meta.url), 'utf8'));
}

function padded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

/** A token that contains every character with a second spelling in standard base64. */
function tokenWith(characters: RegExp, fernet: Fernet): string {
  for (;;) {
    const token = fernet.encrypt('x');
    if (characters.test(token)) return token;
  }
}

function messageOf(work: () => unknown): string {
  try {
    work();
    return 'no error';
  } catch (error) {
    return (error as Error).message;
  }
}
