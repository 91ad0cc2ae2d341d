import { randomBytes, randomInt } from 'node:crypto';

/** Returns an authorization code, about as long as Intuit's. */
export function randomCode(): string {
  return `XAB11${digits(14)}${alphanumeric(32)}`;
}

/** Returns an access token with the length and the first characters of Intuit's encrypted ones. */
export function randomAccessToken(): string {
  return `eyJ${randomBytes(552).toString('base64url')}`;
}

/** Returns a refresh token of 50 characters, with the first characters of Intuit's. */
export function randomRefreshToken(): string {
  return `AB11${digits(10)}${alphanumeric(36)}`;
}

/** Returns a transaction ID, which Intuit sends with each response in the `intuit_tid` header. */
export function randomTid(): string {
  return `1-${randomBytes(4).toString('hex')}-${randomBytes(12).toString('hex')}`;
}

function digits(length: number): string {
  return Array.from({ length }, () => randomInt(10)).join('');
}

function alphanumeric(length: number): string {
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, () => characters[randomInt(characters.length)]).join('');
}
