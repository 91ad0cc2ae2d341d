import { z } from 'zod';
import type { ConnectionEventType } from '../models/connection-event.ts';
import { accountingSystem, instant, oneOf, organizationId, realmId } from './fields.ts';

const eventType = oneOf<ConnectionEventType>(
  {
    connected: 'there was no connection, now there is',
    reconnected: 'a new connection replaced one, active or lost',
    disconnected: 'somebody ended the connection',
    lost: 'Intuit no longer takes the tokens, or they ended (`reason` tells): the person must connect again',
    recovered: 'a lost connection turned out to be alive',
    expiring: 'the five-year end is within 30 days: the person should connect again',
    refresh_failing: 'a renewal failed with no valid access token left to serve',
    refresh_recovered: 'renewals succeed again',
    company_mismatch: 'a sign-in did not open the company that it named: nothing was stored',
    consent_refused: "the person said no on Intuit's page (`reason` tells)",
  },
  'What happened.',
).meta({ id: 'EventType' });

/** One thing that happened to an organization's connection, as callers and receivers see it. */
const eventSchema = z
  .object({
    event_id: z.uuid().meta({ example: '6e1c2f0a-3f5e-4f1e-9a2b-8a0f3c1d5e77' }),
    type: eventType,
    reason: z.string().nullable().meta({
      description:
        'Of `lost`: the `reason` that the status tells. Of `consent_refused`: a code of RFC 6749 §4.1.2.1. Else null.',
    }),
    realm_id: realmId.nullable().meta({
      description: "Intuit's id of the company; the one claimed for `company_mismatch`, null for `consent_refused`.",
    }),
    actor: z.string().meta({
      description:
        "Who acted: an API key's name, a JWT's `sub`, `browser` (nobody named), or `service` (renewal, and `lost`).",
      example: 'billing',
    }),
    intuit_tid: z.string().nullable().meta({ description: "Intuit's transaction id, for its support." }),
    occurred_at: instant('When it happened.'),
  })
  .meta({ id: 'Event', description: "One thing that happened to an organization's connection." });

export type EventFields = z.input<typeof eventSchema>;

/** A part of the timeline, newest first. */
export const eventPageSchema = z
  .object({
    events: z.array(eventSchema).meta({ description: 'Newest first.' }),
    next: z.string().nullable().meta({ description: 'To be given as `before` for the next page; null at the end.' }),
  })
  .meta({ id: 'EventPage', description: "A page of the organization's timeline." });

export type EventPage = z.input<typeof eventPageSchema>;

/** An event as it is posted to a receiver. */
export const webhookSchema = z
  .object({
    type: eventType,
    timestamp: instant('When it happened.'),
    data: eventSchema.extend({ organization_id: organizationId, accounting_system: accountingSystem }),
  })
  .meta({ id: 'Webhook', description: 'An event, posted as Standard Webhooks has it.' });

export type WebhookBody = z.input<typeof webhookSchema>;
