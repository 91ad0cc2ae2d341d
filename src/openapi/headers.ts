import { z } from 'zod';
import { CALLERS_OWN_ID } from '../middleware/observe-requests.ts';

const SECONDS = { type: 'integer', minimum: 0 } as const;
const TEXT = { type: 'string' } as const;

/** The headers of answers, by name, but for those that are the same on every answer: helmet's, CORS', `no-store`. */
export const HEADERS = {
  'X-Request-Id': {
    description: "The caller's own, if it has this form, else a new one. The logs are searched by it.",
    required: true,
    schema: { type: 'string', pattern: CALLERS_OWN_ID.source },
    example: '5c1b4f0e-6a9f-4b53-b1a4-5c3f0d6f2f43',
  },
  RateLimit: {
    description:
      'The limit that counted the request: what is left of it (`r`), and in how many seconds it begins anew (`t`).',
    schema: { type: 'string', pattern: '^"\\w+"; r=\\d+; t=\\d+$' },
    example: '"read"; r=599; t=60',
  },
  'RateLimit-Policy': {
    description: 'The same limit: requests (`q`) in a window of seconds (`w`), for whoever is counted (`pk`).',
    schema: { type: 'string', pattern: '^"\\w+"; q=\\d+; w=\\d+; pk=:[A-Za-z0-9+/=]+:$' },
    example: '"read"; q=600; w=60; pk=:MTJjYTE3YjQ5YWYy:',
  },
  'Retry-After': {
    description: 'Seconds after which the same request may succeed.',
    required: true,
    schema: SECONDS,
    example: 5,
  },
  Allow: {
    description: 'The methods that the address has.',
    required: true,
    schema: TEXT,
    example: 'GET, HEAD',
  },
  'WWW-Authenticate': {
    description: 'The kind of credentials that are taken.',
    required: true,
    schema: { type: 'string', const: 'Bearer' },
  },
  Location: {
    description: 'Where the browser goes.',
    required: true,
    schema: { type: 'string', format: 'uri' },
  },
  'Set-Cookie': {
    description:
      'The cookie that ties the flow to its browser, set by connect and taken away by callback: `HttpOnly`, `SameSite=Lax`, with https `Secure`, for the callback alone.',
    required: true,
    schema: TEXT,
  },
  ETag: { description: "QuickBooks' own.", schema: TEXT },
  'Last-Modified': { description: "QuickBooks' own.", schema: TEXT },
  intuit_tid: {
    description: "Intuit's transaction id. Its support asks for it.",
    schema: TEXT,
    example: '1-67aa0a3e-3f4c1b2a0d9e8f7a6b5c4d3e',
  },
} as const;

/** A header that the document knows. */
export type HeaderName = keyof typeof HEADERS;

/** Headers by their names, as the document refers to them. */
export function headers(...names: HeaderName[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** The headers of an answer that may be QuickBooks' own. @param names those that our own answer has for sure */
export function headersOfEither(...names: HeaderName[]) {
  const optional = ['Retry-After', ...names] as const;
  return {
    ...headers(...LIMITED, 'intuit_tid', 'ETag', 'Last-Modified'),
    ...Object.fromEntries(optional.map((name) => [name, { ...HEADERS[name], required: false }])),
  };
}

/** On every answer. */
export const ALWAYS = ['X-Request-Id'] as const;

/** On every answer of a limited route, once its limit was looked at. */
export const LIMITED = [...ALWAYS, 'RateLimit', 'RateLimit-Policy'] as const;

/** What a program may send with every call. */
export const requestHeaders = z.object({
  'X-Request-Id': z
    .string()
    .regex(CALLERS_OWN_ID)
    .meta({ description: 'An id of your own for this request, to be found in the logs and in the answer.' })
    .optional(),
});
