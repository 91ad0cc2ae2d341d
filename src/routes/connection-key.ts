import type { Request, Response } from 'express';
import { authorizeOrganization } from '../auth/authorize-organization.ts';
import { linkRejected } from '../auth/connect-links.ts';
import { callerOf } from '../middleware/locals.ts';
import type { AccountingSystem, ConnectionKey, OrganizationId } from '../models/connection.ts';
import { parse } from '../schemas/parse.ts';
import { organizationPath } from '../schemas/requests.ts';

/**
 * The connection that a request names, for a caller that can act for its organization.
 * @throws AppError `invalid_request`, `forbidden`; `unauthorized` if a link is another organization's
 */
export function connectionKey(request: Request, response: Response, system: AccountingSystem): ConnectionKey {
  const organizationId = parse(organizationPath, request.params).organization_id as OrganizationId;
  response.locals.organizationId = organizationId; // for the log: Express forgets a route's parameters
  const { link } = response.locals;
  if (link && link.organizationId !== organizationId) throw linkRejected();
  authorizeOrganization(callerOf(response), organizationId);
  return { organizationId, system };
}
