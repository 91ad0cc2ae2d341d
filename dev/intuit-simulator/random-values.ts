import { randomBytes, randomInt } from 'node:crypto';

/** An authorization code: about as long as Intuit's. */
export function randomCode(): string {
  return `XAB11${digits(14)}${alphanumeric(32)}`;
}

/** An access token: as long as Intuit's encrypted ones, and beginning like them. */
export function randomAccessToken(): string {
  return `eyJ${randomBytes(552).toString('base64url')}`;
}

/** A refresh token: 50 characters, beginning like Intuit's. */
export function randomRefreshToken(): string {
  return `AB11${digits(10)}${alphanumeric(36)}`;
}

/** The id Intuit gives each request, in the `intuit_tid` header. */
export function randomTid(): string {
  return `1-${randomBytes(4).toString('hex')}-${randomBytes(12).toString('hex')}`;
}

function digits(length: number): string {
  return Array.from({ length }, () => randomInt(10)).join('');
}

function alphanumeric(length: number): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, () => letters[randomInt(letters.length)]).join('');
}
