import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fernet, InvalidFernetToken } from '../../src/crypto/fernet.ts';
import { openWithPackage, sealWithPackage } from '../support/fernet-package.ts';

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

describe('Fernet and the published vectors', () => {
  it.each(vectors('generate'))('makes the token of "$src"', ({ secret, src, now, iv, token }) => {
    expect(new Fernet([secret]).encrypt(src, new Date(now), Buffer.from(iv))).toBe(token);
  });

  it.each(vectors('verify'))('opens the token of "$src"', ({ secret, src, now, ttl_sec, token }) => {
    expect(new Fernet([secret]).decrypt(token, ttl_sec, new Date(now))).toBe(src);
  });

  it.each(vectors('invalid'))('refuses: $desc', ({ secret, now, ttl_sec, token }) => {
    expect(() => new Fernet([secret]).decrypt(token, ttl_sec, new Date(now))).toThrow(InvalidFernetToken);
  });
});

describe('Fernet and the fernet package', () => {
  it('open what the other one made', () => {
    const fernet = new Fernet([KEY]);
    const property = (text: string) => {
      expect(openWithPackage(KEY, fernet.encrypt(text))).toBe(text);
      expect(fernet.decrypt(sealWithPackage(KEY, text))).toBe(text);
    };
    fc.assert(fc.property(texts, property), { numRuns: 50 });
  });

  it('agree about a refresh token and an access token of full length', () => {
    const token = new Fernet([KEY]).encrypt('x'.repeat(4096));
    expect(openWithPackage(KEY, token)).toBe('x'.repeat(4096));
    expect(token.length).toBeLessThan(65_535); // what TEXT holds
  });
});

describe('Fernet', () => {
  it('opens whatever it made, the empty text among it, and makes a new token each time', () => {
    const fernet = new Fernet([KEY]);
    for (const text of ['', 'ä€😀', 'x'.repeat(15), 'x'.repeat(16)]) {
      expect(fernet.decrypt(fernet.encrypt(text))).toBe(text);
      expect(fernet.encrypt(text)).not.toBe(fernet.encrypt(text));
    }
  });

  it('encrypts with the first key and opens with every one', () => {
    const old = new Fernet([KEY]).encrypt('kept');
    const rotated = new Fernet([OTHER, KEY]);
    expect(rotated.decrypt(old)).toBe('kept');
    expect(new Fernet([OTHER]).decrypt(rotated.encrypt('new'))).toBe('new');
    expect(() => new Fernet([KEY]).decrypt(rotated.encrypt('new'))).toThrow(InvalidFernetToken);
  });

  it('minds the age alone that it is asked to mind', () => {
    const at = (seconds: number) => new Date(1_770_000_000_000 + seconds * 1000);
    const fernet = new Fernet([KEY]);
    const token = fernet.encrypt('x', at(0));
    expect(fernet.decrypt(token, undefined, at(1e9))).toBe('x');
    expect(fernet.decrypt(token, 60, at(60))).toBe('x');
    expect(() => fernet.decrypt(token, 60, at(61))).toThrow(InvalidFernetToken);
    expect(fernet.decrypt(token, 60, at(-60))).toBe('x');
    expect(() => fernet.decrypt(token, 60, at(-61))).toThrow(InvalidFernetToken);
  });

  it('refuses a token in which any one bit of any byte was turned', () => {
    const fernet = new Fernet([KEY]);
    const bytes = Buffer.from(fernet.encrypt('refresh token'), 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const turned = Buffer.from(bytes);
        turned.writeUInt8(turned.readUInt8(at) ^ bit, at);
        expect(() => fernet.decrypt(padded(turned))).toThrow(InvalidFernetToken);
      }
    }
  });

  it('refuses a token that was cut or lengthened anywhere', () => {
    const fernet = new Fernet([KEY]);
    const token = fernet.encrypt('x');
    for (let length = 0; length < token.length; length += 1)
      expect(() => fernet.decrypt(token.slice(0, length))).toThrow(InvalidFernetToken);
    expect(() => fernet.decrypt(`${token}AAAA`)).toThrow(InvalidFernetToken);
  });

  it('takes one spelling of a token alone', () => {
    const fernet = new Fernet([KEY]);
    const token = tokenWith(/-.*_.*={1,2}$/, fernet);
    const spare = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = token.replace(/=+$/, '').length - 1;
    const unusedBits = token.slice(0, last) + spare[spare.indexOf(token[last] ?? '') + 1] + token.slice(last + 1);
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

  it('gives one error for every reason, which holds nothing of the token', () => {
    const fernet = new Fernet([KEY]);
    const foreign = new Fernet([OTHER]).encrypt('x');
    const messages = ['', 'gAAAAA', foreign].map((token) => messageOf(() => fernet.decrypt(token)));
    expect(new Set(messages)).toEqual(new Set(['not a token that one of the keys opens']));
  });

  it.each([
    ['nothing', ''],
    ['31 bytes', padded(Buffer.alloc(31))],
    ['33 bytes', padded(Buffer.alloc(33))],
    ['hexadecimal', '0'.repeat(64)],
    ['no padding', KEY.replace('=', '')],
    ['a line end', `${KEY}\n`],
    ['standard base64', Buffer.alloc(32, 0xff).toString('base64')],
    ['letters that are none', `${KEY.slice(0, 42)}%=`],
    ['unused bits set', `${'A'.repeat(42)}B=`],
  ])('refuses a key that is %s', (_, key) => {
    expect(Fernet.isKey(key)).toBe(false);
    expect(() => new Fernet([KEY, key])).toThrow(TypeError);
    if (key !== '') expect(messageOf(() => new Fernet([key]))).not.toContain(key);
  });

  it('needs a key', () => {
    expect(() => new Fernet([])).toThrow(TypeError);
  });

  it('makes keys that differ and that it takes', () => {
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

/** A token in which the letters stand that are spelt in two ways. */
function tokenWith(letters: RegExp, fernet: Fernet): string {
  for (;;) {
    const token = fernet.encrypt('x');
    if (letters.test(token)) return token;
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
