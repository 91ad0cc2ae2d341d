import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Signs what leaves the service and comes back: base64url(JSON) + `.` + base64url(HMAC-SHA-256).
 * @param purpose keeps what was signed for one use from being taken for another
 */
export function sign(purpose: string, payload: object, secret: string): string {
  const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${text}.${hmac(purpose, text, secret)}`;
}

/** What was signed with one of the secrets; undefined for all else. */
export function open<Payload>(purpose: string, signed: string, secrets: readonly string[]): Payload | undefined {
  const [text = '', signature = '', ...rest] = signed.split('.');
  if (rest.length > 0 || !secrets.some((secret) => isEqual(hmac(purpose, text, secret), signature))) return undefined;
  return JSON.parse(Buffer.from(text, 'base64url').toString());
}

/** Compares in a time that tells nothing about either. */
export function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function hmac(purpose: string, text: string, secret: string): string {
  return createHmac('sha256', secret).update(`${purpose}.${text}`).digest('base64url');
}
