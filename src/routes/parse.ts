import type { Request, Response } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { callerOf, linkOf } from '../middleware/authenticate.ts';
import { linkRefused } from '../utils/connect-link.ts';

/** Parses what came from outside. @throws AppError `invalid_request` that names the first wrong parameter. */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new AppError('invalid_request', `${String(issue?.path[0])} ${issue?.message}`);
}

/** A query parameter that must stand exactly once. */
export function once(): z.ZodString {
  return z
    .string({ error: (issue) => (Array.isArray(issue.input) ? 'must be given once' : 'is required') })
    .min(1, { error: 'is required', abort: true });
}

const organizationPath = z.object({
  organization_id: z.string().regex(/^[A-Za-z0-9_-]{1,36}$/, 'must be 1 to 36 characters of A-Z, a-z, 0-9, _ and -'),
});

/**
 * The organization in the path, for a caller who may act for it. Octup's ids are opaque to us, and case-sensitive.
 * @throws AppError `invalid_request`, `forbidden`
 */
export function organizationOf(request: Request, response: Response): string {
  const { organization_id } = parse(organizationPath, request.params);
  response.locals['organizationId'] = organization_id; // for the log: Express forgets a route's parameters
  const { organizationId } = callerOf(response);
  if (organizationId === undefined || organizationId === organization_id) return organization_id;
  throw linkOf(response) ? linkRefused() : new AppError('forbidden', 'These credentials are for another organization.');
}
