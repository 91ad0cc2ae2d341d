import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import type { Caller } from './caller-authenticator.ts';

/** The tenant check: every route of one organization calls it. @throws AppError `forbidden` */
export function authorizeOrganization({ organizations }: Caller, organizationId: OrganizationId): void {
  if (organizations.kind === 'all') return;
  if (organizations.kind === 'one' && organizations.id === organizationId) return;
  throw new AppError('forbidden');
}
