import type { z } from 'zod';
import { AppError } from '../errors.ts';

/** The name of an unknown field is the caller's own. */
const MAX_NAME_LENGTH = 64;

/** Parses external input. @throws AppError `invalid_request` that names the first invalid parameter */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const unknownField = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const name = String(issue?.path[0] ?? unknownField ?? 'body').slice(0, MAX_NAME_LENGTH);
  throw new AppError('invalid_request', { detail: `${name} ${issue?.message}` });
}
