import { z } from 'zod';

/** The form of a request ID that a caller may supply. */
export const REQUEST_ID = /^[A-Za-z0-9._-]{8,128}$/;

/** Octup's ID of its customer: opaque and case-sensitive. */
export const organizationId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,36}$/, 'must be 1 to 36 characters of A-Z, a-z, 0-9, _ and -')
  .meta({ description: "Octup's ID of the organization. Case-sensitive.", example: 'acme' });

/** The provider's name, as it stands in URLs. */
export const accountingSystem = z.string().meta({ description: 'The accounting system.', example: 'quickbooks' });

/** The provider's ID of a company. */
export const realmId = z
  .string()
  .meta({ description: "Intuit's ID of the QuickBooks company.", example: '9341452000000001' });

/** An instant: the `Date` that a handler returns, which JSON writes as ISO 8601 in UTC. */
export function instant(description: string) {
  return z.date().meta({ format: 'date-time', description, example: '2026-02-10T14:00:00.000Z' });
}

/** One of these values, each with its meaning. The compiler checks that none is missing. */
export function oneOf<Value extends string>(meanings: Record<Value, string>, description: string, error?: string) {
  const values = Object.keys(meanings) as [Value, ...Value[]];
  const list = values.map((value) => `- \`${value}\`: ${meanings[value]}`).join('\n');
  return z.enum(values, error).meta({ description: `${description}\n\n${list}` });
}

/** A query parameter that must be present exactly once. */
export function once(): z.ZodString {
  return z
    .string({ error: (issue) => (Array.isArray(issue.input) ? 'must be given once' : 'is required') })
    .min(1, { error: 'is required', abort: true });
}
