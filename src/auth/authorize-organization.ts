import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { Caller } from './caller-authenticator.ts';

/** The tenant check: every route of one organization calls it. @throws AppError `forbidden` */
export function authorizeOrganization({ organizations }: Caller, organizationId: OrganizationId): void {
  if (organizations.kind === 'all' || organizations.ids.includes(organizationId)) return;
  throw new AppError('forbidden');
}
