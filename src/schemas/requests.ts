import { z } from 'zod';
import { organizationId } from './fields.ts';

/** The path of every route of one organization. */
export const organizationPath = z.object({ organization_id: organizationId });

/** The part of a timeline that is asked for. */
export const eventsQuery = z.object({
  limit: z
    .string('must be given once')
    .regex(/^([1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .meta({ type: 'integer', minimum: 1, maximum: 200, default: 50, description: 'The most events to answer.' })
    .default('50')
    .transform(Number),
  before: z
    .string('must be given once')
    .regex(/^\d{1,15}$/, 'must be the `next` of an earlier answer')
    .meta({ description: 'The `next` of an earlier answer: only events older than those it held.', example: '4711' })
    .transform(Number)
    .optional(),
});

const state = once().meta({ description: 'The state that connect sent to Intuit. Good for 10 minutes and one use.' });

/** What Intuit's redirect brings where the person said no. */
export const callbackError = z.object({
  error: once().meta({
    description: 'Why there is no code, as RFC 6749 §4.1.2.1 names it: `access_denied` where the person said no.',
    example: 'access_denied',
  }),
  state,
});

/** What Intuit's redirect brings where the person agreed. */
export const callbackCode = z.object({
  state,
  realmId: once()
    .regex(/^[0-9]{1,32}$/, 'must be 1 to 32 digits')
    .meta({ description: 'The company that was chosen. Required unless `error` stands.', example: '9341452000000001' }),
  code: once()
    .max(512, 'must be at most 512 characters')
    .meta({ description: 'The authorization code. Required unless `error` stands.' }),
});

/** What the page at `/docs` is made of. */
export const docsFile = z
  .enum(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'page.css', 'page.js'])
  .meta({ description: 'One of its parts.' });

/** A query parameter that must stand exactly once. */
function once(): z.ZodString {
  return z
    .string({ error: (issue) => (Array.isArray(issue.input) ? 'must be given once' : 'is required') })
    .min(1, { error: 'is required', abort: true });
}
