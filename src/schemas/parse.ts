import type { z } from 'zod';
import { AppError } from '../errors.ts';

/** Parses external input. @throws AppError `invalid_request` that names the first invalid parameter */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new AppError('invalid_request', { detail: `${String(issue?.path[0])} ${issue?.message}` });
}
