import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import type { Ciphertext } from '../models/connection.ts';

// A token, https://github.com/fernet/spec/blob/master/Spec.md, in base64url:
// version 0x80 (1) | seconds since 1970, big-endian (8) | IV (16) | AES-128-CBC with PKCS #7 (16 n) | HMAC-SHA-256 of all before (32)
const VERSION = 0x80;
const IV_AT = 9;
const CIPHERTEXT_AT = 25;
const BLOCK = 16;
const HMAC_LENGTH = 32;
const KEY_LENGTH = 32; // 16 for signing, 16 for encryption
const MAX_CLOCK_SKEW_SECONDS = 60;

/** Key objects: with Node 24, each use of a key in bytes takes 10 µs longer. */
interface Key {
  signing: KeyObject;
  encryption: KeyObject;
}

/** One error for every reason, so that a failure reveals nothing about the key or the text. */
export class InvalidFernetToken extends Error {
  override readonly name = 'InvalidFernetToken';

  constructor() {
    super('not a token that one of the keys can decrypt');
  }
}

/** Encrypts with the first of its keys and decrypts with any of them. */
export class Fernet {
  private readonly keys: [Key, ...Key[]];

  /** @param keys 32 bytes each in base64url, as `Fernet.generateKey` returns them. @throws TypeError for any other. */
  constructor(keys: readonly string[]) {
    const [first, ...others] = keys.map(parseKey);
    if (!first) throw new TypeError('at least one Fernet key is required');
    this.keys = [first, ...others];
  }

  /** Returns a new key: 32 random bytes in base64url. */
  static generateKey(): string {
    return toBase64Url(randomBytes(KEY_LENGTH));
  }

  /** True if the text is a key in the specification's form. */
  static isKey(text: string): boolean {
    return fromBase64Url(text)?.length === KEY_LENGTH;
  }

  /** @param now and @param iv are passed only by tests. */
  encrypt(text: string, now = new Date(), iv = randomBytes(BLOCK)): Ciphertext {
    const [key] = this.keys;
    const head = Buffer.alloc(CIPHERTEXT_AT);
    head.writeUInt8(VERSION);
    head.writeBigUInt64BE(BigInt(Math.floor(now.getTime() / 1000)), 1);
    iv.copy(head, IV_AT);
    const cipher = createCipheriv('aes-128-cbc', key.encryption, iv);
    const signed = Buffer.concat([head, cipher.update(text, 'utf8'), cipher.final()]);
    return toBase64Url(Buffer.concat([signed, hmac(key, signed)])) as Ciphertext;
  }

  /** True if the first key encrypted the token: nothing is left to rotate. */
  isCurrent(token: string): boolean {
    const bytes = fromBase64Url(token);
    return bytes !== undefined && isSignedBy(this.keys[0], bytes);
  }

  /**
   * @param ttlSeconds maximum age of the token at `now`; without it, any age is accepted.
   * @throws InvalidFernetToken
   */
  decrypt(token: string, ttlSeconds?: number, now = new Date()): string {
    const bytes = fromBase64Url(token);
    if (!bytes || bytes.length < CIPHERTEXT_AT + BLOCK + HMAC_LENGTH || bytes[0] !== VERSION) {
      throw new InvalidFernetToken();
    }
    const signed = bytes.subarray(0, -HMAC_LENGTH);
    const key = this.keys.find((candidate) => isSignedBy(candidate, bytes));
    if (!key || (ttlSeconds !== undefined && !isWithin(ttlSeconds, signed, now))) throw new InvalidFernetToken();
    try {
      const decipher = createDecipheriv('aes-128-cbc', key.encryption, signed.subarray(IV_AT, CIPHERTEXT_AT));
      return Buffer.concat([decipher.update(signed.subarray(CIPHERTEXT_AT)), decipher.final()]).toString('utf8');
    } catch {
      throw new InvalidFernetToken();
    }
  }
}

function parseKey(text: string): Key {
  const bytes = fromBase64Url(text);
  if (bytes?.length !== KEY_LENGTH) throw new TypeError('a Fernet key is 32 bytes in base64url');
  return { signing: createSecretKey(bytes.subarray(0, 16)), encryption: createSecretKey(bytes.subarray(16)) };
}

function isSignedBy(key: Key, bytes: Buffer): boolean {
  const signature = bytes.subarray(-HMAC_LENGTH);
  return signature.length === HMAC_LENGTH && timingSafeEqual(hmac(key, bytes.subarray(0, -HMAC_LENGTH)), signature);
}

function hmac(key: Key, signed: Buffer): Buffer {
  return createHmac('sha256', key.signing).update(signed).digest();
}

function isWithin(ttlSeconds: number, signed: Buffer, now: Date): boolean {
  const writtenAt = Number(signed.readBigUInt64BE(1));
  const seconds = now.getTime() / 1000;
  return writtenAt + ttlSeconds >= seconds && writtenAt <= seconds + MAX_CLOCK_SKEW_SECONDS;
}

/** Base64url with padding, as the specification requires. */
function toBase64Url(bytes: Buffer): string {
  return bytes.toString('base64url').padEnd(Math.ceil(bytes.length / 3) * 4, '=');
}

/** Strict, unlike Buffer: exactly one text for each value. */
function fromBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return toBase64Url(bytes) === text ? bytes : undefined;
}
