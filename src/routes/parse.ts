import type { Request, Response } from 'express';
import type { z } from 'zod';
import { linkRefused } from '../auth/connect-links.ts';
import { AppError } from '../errors.ts';
import { callerOf, linkOf } from '../middleware/authenticate.ts';
import { organizationPath } from '../schemas/requests.ts';

/** Parses what came from outside. @throws AppError `invalid_request` that names the first wrong parameter. */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new AppError('invalid_request', `${String(issue?.path[0])} ${issue?.message}`);
}

/**
 * The organization in the path, for a caller who may act for it.
 * @throws AppError `invalid_request`, `forbidden`
 */
export function organizationOf(request: Request, response: Response): string {
  const { organization_id } = parse(organizationPath, request.params);
  response.locals['organizationId'] = organization_id; // for the log: Express forgets a route's parameters
  const { organizationId } = callerOf(response);
  if (organizationId === undefined || organizationId === organization_id) return organization_id;
  throw linkOf(response) ? linkRefused() : new AppError('forbidden', 'These credentials are for another organization.');
}
