import { z } from 'zod';
import { REQUEST_ID } from '../schemas/fields.ts';

const SECONDS = { type: 'integer', minimum: 0 } as const;
const TEXT = { type: 'string' } as const;

/** Response headers by name, except those of every response: `Cache-Control`, and the headers of helmet and CORS. */
export const HEADERS = {
  'X-Request-Id': {
    description: "The caller's own ID if it has this form, otherwise a new one. Log lines contain it as `request_id`.",
    required: true,
    schema: { type: 'string', pattern: REQUEST_ID.source },
    example: '5c1b4f0e-6a9f-4b53-b1a4-5c3f0d6f2f43',
  },
  RateLimit: {
    description: 'The limit that counted the request: requests that remain (`r`), and seconds until it resets (`t`).',
    schema: { type: 'string', pattern: '^"\\w+"; r=\\d+; t=\\d+$' },
    example: '"read"; r=599; t=60',
  },
  'RateLimit-Policy': {
    description: 'The same limit: requests (`q`) per window of seconds (`w`), and a hash of the counted caller (`pk`).',
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
    description: 'The methods that the route supports.',
    required: true,
    schema: TEXT,
    example: 'GET, HEAD',
  },
  'WWW-Authenticate': {
    description: 'The authentication scheme that the route requires.',
    required: true,
    schema: { type: 'string', const: 'Bearer' },
  },
  Location: {
    description: 'The URL that the browser is redirected to.',
    required: true,
    schema: { type: 'string', format: 'uri' },
  },
  'Set-Cookie': {
    description:
      "The cookie that ties the flow to its browser, for 10 minutes. `HttpOnly`, `SameSite=Lax`, over http limited to the callback's path, over https `Secure` and limited to this host by the prefix `__Host-`.",
    schema: TEXT,
  },
  ETag: { description: "The provider's own.", schema: TEXT },
  'Last-Modified': { description: "The provider's own.", schema: TEXT },
  intuit_tid: {
    description: "Intuit's transaction ID, for Intuit's support. Only in responses of QuickBooks.",
    schema: TEXT,
    example: '1-67aa0a3e-3f4c1b2a0d9e8f7a6b5c4d3e',
  },
} as const;

/** `WWW-Authenticate` of a 403 whose credentials lack the route's scope. */
export const INSUFFICIENT_SCOPE = {
  description: 'The scope that the credentials lack, if that is the reason.',
  schema: { type: 'string', pattern: '^Bearer error="insufficient_scope", scope="[a-z]+:[a-z]+"$' },
  example: 'Bearer error="insufficient_scope", scope="connections:write"',
} as const;

/** A header that the document describes. */
export type HeaderName = keyof typeof HEADERS;

/** References to headers, by name. */
export function headers(...names: HeaderName[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/**
 * The headers of a response that may be the provider's own.
 * @param names headers that this service's response always has, but the provider's may not
 */
export function passThroughHeaders(...names: HeaderName[]) {
  const optional = ['Retry-After', ...names] as const;
  return {
    ...headers(...RATE_LIMITED_HEADERS, 'intuit_tid', 'ETag', 'Last-Modified'),
    ...Object.fromEntries(optional.map((name) => [name, { ...HEADERS[name], required: false }])),
  };
}

/** The headers of every response. */
export const COMMON_HEADERS = ['X-Request-Id'] as const;

/** The headers of a rate-limited route's responses, the last two once the request was counted. */
export const RATE_LIMITED_HEADERS = [...COMMON_HEADERS, 'RateLimit', 'RateLimit-Policy'] as const;

/** The headers that a caller can send with every request. */
export const requestHeaders = z.object({
  'X-Request-Id': z
    .string()
    .regex(REQUEST_ID)
    .meta({ description: "The caller's own ID for this request. The response and the log lines contain it." })
    .optional(),
});
