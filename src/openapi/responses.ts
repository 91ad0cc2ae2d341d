import type { ResponseConfig } from '@asteasolutions/zod-to-openapi';
import type { z } from 'zod';
import { type HeaderName, headers, RATE_LIMITED_HEADERS } from './headers.ts';

/** A JSON response. @param headerNames by default: those of a rate-limited route */
export function jsonResponse<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  examples: Record<string, z.input<Schema>>,
  headerNames: readonly HeaderName[] = RATE_LIMITED_HEADERS,
): ResponseConfig {
  const entries = Object.entries(examples).map(([name, value]) => [name, { value }]);
  return {
    description,
    headers: headers(...headerNames),
    content: { 'application/json': { schema, examples: Object.fromEntries(entries) } },
  };
}

/** A redirect of a browser, without a body. */
export function redirectResponse(description: string, ...headerNames: HeaderName[]): ResponseConfig {
  return { description, headers: headers(...RATE_LIMITED_HEADERS, 'Location', ...headerNames) };
}

/** A text response of these content types. */
export function textResponse(
  description: string,
  contentTypes: string[],
  headerNames: readonly HeaderName[],
): ResponseConfig {
  return {
    description,
    headers: headers(...headerNames),
    content: Object.fromEntries(contentTypes.map((type) => [type, { schema: { type: 'string' } }])),
  };
}
