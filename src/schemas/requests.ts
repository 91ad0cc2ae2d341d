import { z } from 'zod';
import { organizationId } from './fields.ts';

/** The path of every route of one organization. */
export const organizationPath = z.object({ organization_id: organizationId });

/** The query of the timeline. */
export const eventsQuery = z.object({
  limit: z
    .string('must be given once')
    .regex(/^([1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .meta({ type: 'integer', minimum: 1, maximum: 200, default: 50, description: 'The maximum number of events.' })
    .default('50')
    .transform(Number),
  before: z
    .string('must be given once')
    .regex(/^\d{1,15}$/, 'must be the `next` of an earlier response')
    .meta({ description: 'The `next` of an earlier response: returns the events before it.', example: '4711' })
    .transform(Number)
    .optional(),
});

/** The files of the page at `/docs`. */
export const docsFile = z
  .enum(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'page.css', 'page.js'])
  .meta({ description: "The file's name." });
