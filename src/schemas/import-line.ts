import { z } from 'zod';
import type { OrganizationId, RealmId } from '../models/connection.ts';
import { organizationId } from './fields.ts';

const MAX_TOKEN_LENGTH = 8_192;

/** A line of an import. Other fields are ignored. */
export const importLine = z.object({
  organization_id: text()
    .pipe(organizationId)
    .transform((id) => id as OrganizationId),
  realm_id: text()
    .regex(/^[0-9]{1,32}$/, 'must be 1 to 32 digits')
    .transform((id) => id as RealmId),
  refresh_token: text()
    .regex(/^[\x21-\x7e]+$/, 'must consist of printable characters without spaces')
    .max(MAX_TOKEN_LENGTH, `must be at most ${MAX_TOKEN_LENGTH} characters`),
});

function text() {
  return z
    .string({ error: ({ input }) => (input === undefined || input === null ? 'is required' : 'must be a string') })
    .min(1, { error: 'is required', abort: true });
}
