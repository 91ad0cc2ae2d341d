import type { Request } from 'express';
import { AppError } from '../errors.ts';

/** A segment by RFC 3986 §3.3, without `;`: some servers drop what follows it before they resolve dots. */
const SEGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})+$/;
/** What a segment may not encode: a slash, a backslash, a dot, a semicolon, a percent sign, a control character. */
const HIDDEN = /%(?:2[EFef5]|3[Bb]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])/;

/** The characters of RFC 3986 §3.4, and a few more that clients send, without `#`, which would end the query. */
const QUERY = /^[\x21\x22\x24-\x7e]*$/;

/**
 * The request's path below the organization, with its query, exactly as it was sent.
 * @throws AppError `invalid_request` if it could mean anything but a resource of the company
 */
export function resourcePath(request: Request): string {
  const [path, query = ''] = split(request.originalUrl, '?');
  const below = split(path.slice(request.baseUrl.length + 1), '/')[1] ?? '';
  const isWithin = path.startsWith(`${request.baseUrl}/`) && below.split('/').every(isPlain) && QUERY.test(query);
  if (!isWithin) throw new AppError('invalid_request', { detail: 'resource must be a plain path below the company' });
  return query === '' ? below : `${below}?${query}`;
}

function isPlain(segment: string): boolean {
  return SEGMENT.test(segment) && !HIDDEN.test(segment) && segment !== '.' && segment !== '..';
}

function split(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
