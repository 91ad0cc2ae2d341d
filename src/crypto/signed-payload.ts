import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Signs a payload that leaves the service and comes back: base64url(JSON) + `.` + base64url(HMAC-SHA-256).
 * @param purpose separates payloads of different uses from each other
 */
export function sign(purpose: string, payload: object, secret: string): string {
  const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${text}.${hmac(purpose, text, secret)}`;
}

/** Returns a payload that one of the secrets signed, or undefined for anything else. */
export function open<Payload>(purpose: string, signed: string, secrets: readonly string[]): Payload | undefined {
  const [text = '', signature = '', ...rest] = signed.split('.');
  if (rest.length > 0 || !secrets.some((secret) => isEqual(hmac(purpose, text, secret), signature))) return undefined;
  return JSON.parse(Buffer.from(text, 'base64url').toString());
}

/** Compares in constant time. */
export function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function hmac(purpose: string, text: string, secret: string): string {
  return createHmac('sha256', secret).update(`${purpose}.${text}`).digest('base64url');
}
