import { z } from 'zod';
import type { RealmId } from '../../models/connection.ts';
import { once } from '../../schemas/fields.ts';
import { parse } from '../../schemas/parse.ts';
import type { CallbackParameters } from '../accounting-strategy.ts';

/** The form of Intuit's company IDs. */
export const REALM_ID = { pattern: /^[0-9]{1,32}$/, message: 'must be 1 to 32 digits' };

const state = once().meta({
  description: 'The state that connect sent to Intuit. Valid for 10 minutes and for one use.',
});

/** The query of Intuit's redirect if the user declined, or Intuit failed. */
export const declinedQuery = z.object({
  error: once().meta({
    description: 'Why there is no code, by RFC 6749 §4.1.2.1: `access_denied` if the user declined.',
    example: 'access_denied',
  }),
  state,
});

/** The query of Intuit's redirect if the user agreed. */
export const authorizedQuery = z.object({
  state,
  realmId: once()
    .regex(REALM_ID.pattern, REALM_ID.message)
    .meta({ description: 'The chosen company. Required unless `error` is present.', example: '9341452000000001' }),
  code: once()
    .max(512, 'must be at most 512 characters')
    .meta({ description: 'The authorization code. Required unless `error` is present.' }),
});

/** The query with which Intuit sends a user who disconnected inside QuickBooks. */
export const disconnectedQuery = z.object({
  realmId: z.string().regex(REALM_ID.pattern).optional().meta({
    description: 'The company whose connections are verified. Ignored if it is not 1 to 32 digits.',
    example: '9341452000000001',
  }),
});

/** Reads the query of Intuit's redirect: every parameter exactly once. @throws AppError `invalid_request` */
export function parseQuickBooksCallback(query: unknown): CallbackParameters {
  if ('error' in Object(query)) return parse(declinedQuery, query);
  const { state, code, realmId } = parse(authorizedQuery, query);
  return { state, code, realmId: realmId as RealmId };
}
