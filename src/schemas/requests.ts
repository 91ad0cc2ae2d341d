import { z } from 'zod';
import type { OrganizationId, RealmId } from '../models/connection.ts';
import type { ListedState } from '../models/connection-list.ts';
import { once, oneOf, organizationId } from './fields.ts';

/** The path of every route of one organization. */
export const organizationPath = z.object({ organization_id: organizationId });

/** What GET connect accepts besides a link. */
export const connectQuery = z.object({
  return_url: once()
    .meta({
      description: "Where the browser returns to: a URL on one of the frontends' origins, without a fragment.",
      example: 'https://app.example.com/settings/integrations?tab=accounting',
    })
    .optional(),
});

/** The body of POST connect. */
export const connectBody = body({
  return_url: z
    .string('must be a string')
    .meta({
      description:
        "Where the browser returns to: a URL on one of the frontends' origins, at most 1000 characters, without a fragment. The outcome is added to its query.",
      maxLength: 1000,
      format: 'uri',
      example: 'https://app.example.com/settings/integrations?tab=accounting',
    })
    .optional(),
  expires_in: z
    .int('must be a whole number of seconds')
    .min(60, 'must be at least 60')
    .max(172_800, 'must be at most 172800')
    .meta({ description: "The link's lifetime in seconds." })
    .default(300),
  realm_id: realmId('must be a string', 'The only company that the link connects.').optional(),
}).meta({ id: 'ConnectLinkRequest', description: 'How a link connects. Every field is optional.' });

/** The body of POST confirm. */
export const confirmBody = body({
  confirmation: z
    .string({ error: ({ input }) => (input === undefined ? 'is required' : 'must be a string') })
    .min(1, 'is required')
    .max(1000, 'must be at most 1000 characters')
    .meta({ description: "The `confirmation` of the return page's query." }),
}).meta({ id: 'Confirmation', description: 'Which connection is confirmed.' });

/** The query of the timeline. */
export const eventsQuery = z.object({
  limit: pageLimit('The maximum number of events.'),
  before: z
    .string('must be given once')
    .regex(/^\d{1,15}$/, 'must be the `next` of an earlier response')
    .meta({ description: 'The `next` of an earlier response: returns the events before it.', example: '4711' })
    .transform(Number)
    .optional(),
});

/** The query of all organizations' connections. A misspelled filter would list everything. */
export const connectionsQuery = z.strictObject(
  {
    state: oneOf<ListedState>(
      {
        active: 'can be used; includes the two below',
        lost: 'the user must connect again',
        refresh_failing: 'its refresh fails, and no valid access token is left',
        expiring: 'within 30 days of the five-year limit',
      },
      'Only connections in this state.',
      'must be given once, as active, lost, refresh_failing or expiring',
    ).optional(),
    realm_id: realmId('must be given once', 'Only connections to this company.').optional(),
    limit: pageLimit('The maximum number of connections.'),
    after: z
      .string('must be given once')
      .regex(/^[A-Za-z0-9_-]{1,36}$/, 'must be the `next` of an earlier response')
      .meta({ description: 'The `next` of an earlier response: returns the connections after it.', example: 'acme' })
      .transform((id) => id as OrganizationId)
      .optional(),
  },
  { error: ({ code }) => (code === 'unrecognized_keys' ? 'is not a known parameter' : undefined) },
);

function realmId(typeError: string, description: string) {
  return z
    .string(typeError)
    .regex(/^[\x21-\x7e]{1,100}$/, 'must be 1 to 100 printable characters')
    .meta({ description, example: '9341452000000001' })
    .transform((id) => id as RealmId);
}

function pageLimit(description: string) {
  return z
    .string('must be given once')
    .regex(/^([1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .meta({ type: 'integer', minimum: 1, maximum: 200, default: 50, description })
    .default('50')
    .transform(Number);
}

/** A JSON object without other fields. */
function body<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? 'is not a known field' : 'must be a JSON object'),
  });
}

/** The files of the page at `/docs`. */
export const docsFile = z
  .enum(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'page.css', 'page.js'])
  .meta({ description: "The file's name." });
