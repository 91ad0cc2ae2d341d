import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';

const KEY_BYTES = 32;

/** Computes keyed digests that bind ciphertexts to the row they were written for. The first key signs, all verify. */
export class RowDigest {
  private readonly keys: KeyObject[]; // as for Fernet: faster than bytes with Node 24

  /** @param encryptionKeys Fernet keys; the digest's own keys are derived from them (HKDF-SHA-256, RFC 5869). */
  constructor(encryptionKeys: readonly string[]) {
    this.keys = encryptionKeys.map((key) =>
      createSecretKey(
        Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64url'), '', 'oauth_tokens.token_digest', KEY_BYTES)),
      ),
    );
  }

  /** HMAC-SHA-256 over the parts, in base64url. */
  sign(parts: readonly string[]): string {
    return digest(this.keys[0] as KeyObject, parts).toString('base64url');
  }

  /** True if one of the keys signed exactly these parts. */
  verify(parts: readonly string[], signature: string): boolean {
    return this.keys.some((key) => isEqual(digest(key, parts), signature));
  }

  /** True if the first key signed them: nothing is left to rotate. */
  isCurrent(parts: readonly string[], signature: string): boolean {
    return isEqual(digest(this.keys[0] as KeyObject, parts), signature);
  }
}

/** JSON keeps the parts apart: `a`, `bc` and `ab`, `c` have different digests. */
function digest(key: KeyObject, parts: readonly string[]): Buffer {
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest();
}

function isEqual(expected: Buffer, signature: string): boolean {
  const actual = Buffer.from(signature, 'base64url');
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
