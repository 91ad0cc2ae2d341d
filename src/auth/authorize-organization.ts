import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { Caller } from './caller-authenticator.ts';

/** The tenant check: every route of one organization calls it. @throws AppError `forbidden` */
export function authorizeOrganization(caller: Caller, organizationId: OrganizationId): void {
  if (!isAuthorized(caller, organizationId)) throw new AppError('forbidden');
}

/** True if the caller can act for the organization. */
export function isAuthorized({ organizations }: Caller, organizationId: OrganizationId): boolean {
  return organizations.kind === 'all' || organizations.ids.includes(organizationId);
}
