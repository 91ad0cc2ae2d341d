import type { ResponseConfig } from '@asteasolutions/zod-to-openapi';
import type { z } from 'zod';
import { type HeaderName, headers, LIMITED } from './headers.ts';

/** JSON of this form. @param examples by their names @param names the headers, unless they are a limited route's */
export function json<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  examples: Record<string, z.input<Schema>>,
  names: readonly HeaderName[] = LIMITED,
): ResponseConfig {
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  return {
    description,
    headers: headers(...names),
    content: { 'application/json': { schema, examples: Object.fromEntries(named) } },
  };
}

/** A browser is sent on; the body says so once more. */
export function redirection(description: string): ResponseConfig {
  const content = { schema: { type: 'string' } } as const;
  return {
    description,
    headers: headers(...LIMITED, 'Location', 'Set-Cookie'),
    content: { 'text/plain': content, 'text/html': content },
  };
}

/** Text of these types. */
export function text(description: string, types: string[], names: readonly HeaderName[]): ResponseConfig {
  return {
    description,
    headers: headers(...names),
    content: Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }])),
  };
}
