import { z } from 'zod';

/** Octup's id of its customer: opaque to us, and case-sensitive. */
export const organizationId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,36}$/, 'must be 1 to 36 characters of A-Z, a-z, 0-9, _ and -')
  .meta({ description: "Octup's id of the organization. Case-sensitive.", example: 'acme' });

/** An enum of one, since null could not be added to a literal's in the document. */
export const accountingSystem = z.enum(['quickbooks']);

/** Intuit's id of a company, as it is told. */
export const realmId = z
  .string()
  .meta({ description: "Intuit's id of the QuickBooks company.", example: '9341452000000001' });

/** An instant: the `Date` that a handler gives, which JSON writes as ISO 8601 in UTC. */
export function instant(description: string) {
  return z.date().meta({ format: 'date-time', description, example: '2026-02-10T14:00:00.000Z' });
}

/** One of these values, each with its meaning. Their type makes the compiler see that none is missing. */
export function oneOf<Value extends string>(meanings: Record<Value, string>, description: string) {
  const values = Object.keys(meanings) as [Value, ...Value[]];
  const list = values.map((value) => `- \`${value}\`: ${meanings[value]}`).join('\n');
  return z.enum(values).meta({ description: `${description}\n\n${list}` });
}
