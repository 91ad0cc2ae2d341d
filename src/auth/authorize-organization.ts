import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { Caller } from './caller-authenticator.ts';

/** The tenant check: every route of one organization calls it. @throws AppError `forbidden` */
export function authorizeOrganization(caller: Caller, organizationId: OrganizationId): void {
  if (!isAuthorized(caller, organizationId)) throw new AppError('forbidden', { reason: reasonOf(caller) });
}

/** True if the caller can act for the organization. */
export function isAuthorized({ organizations }: Caller, organizationId: OrganizationId): boolean {
  return organizations.kind === 'all' || organizations.ids.includes(organizationId);
}

/** Why, with the claim's name, which the operator configured: a JWT without the claim looks like another organization's. */
function reasonOf({ organizations }: Caller): string | undefined {
  if (organizations.kind === 'all' || organizations.claim === undefined) return undefined;
  const code = organizations.ids.length === 0 ? 'no_organization' : 'other_organization';
  return `${code} ${organizations.claim}`;
}
