import { z } from 'zod';
import type { ConnectionEventType, RecordedEvent } from '../models/connection-event.ts';
import { accountingSystem, instant, oneOf, organizationId, realmId } from './fields.ts';

const eventType = oneOf<ConnectionEventType>(
  {
    connected: 'there was no connection, now there is one',
    reconnected: 'a new connection replaced one, active or lost',
    disconnected: 'the connection was ended',
    lost: 'Intuit rejected the tokens, or they expired (see `reason`): the user must connect again',
    recovered: 'a lost connection turned out to be alive',
    expiring: 'the five-year limit is within 30 days, then within 7: the user should connect again',
    refresh_failing: 'a refresh failed with no valid access token left to serve',
    refresh_recovered: 'refreshes succeed again',
    company_mismatch: 'a grant does not give access to the company it was made for',
    consent_refused: "the user declined on Intuit's page (see `reason`)",
    connect_failed: 'a callback of this organization ended in an error (see `reason`)',
    confirmation_expired: 'a connection was not confirmed in time: its grant was deleted',
    imported: 'an operator imported the connection from another system',
  },
  'What happened.',
).meta({ id: 'EventType' });

/** Something that happened to an organization's connection, as callers and webhook receivers see it. */
const eventSchema = z
  .object({
    event_id: z.uuid().meta({ example: '6e1c2f0a-3f5e-4f1e-9a2b-8a0f3c1d5e77' }),
    type: eventType,
    reason: z.string().nullable().meta({
      description:
        "For `lost`: the status' `reason`. For `consent_refused`: a code of RFC 6749 §4.1.2.1. For `connect_failed`: the error's `code`. For `expiring`: `within_30_days` or `within_7_days`. Otherwise null.",
    }),
    realm_id: realmId.nullable().meta({
      description: "Intuit's ID of the company; the claimed one for `company_mismatch`, null for `consent_refused`.",
    }),
    actor: z.string().meta({
      description:
        "An API key's name, a JWT's `sub`, `browser` (no identified caller), `service` (refresh events and `lost`), or `operator` (a command).",
      example: 'billing',
    }),
    intuit_tid: z.string().nullable().meta({ description: "Intuit's transaction ID, for Intuit's support." }),
    occurred_at: instant('When it happened.'),
  })
  .meta({ id: 'Event', description: "Something that happened to an organization's connection." });

export type EventFields = z.input<typeof eventSchema>;

/** Converts an event to its fields in responses and webhooks. */
export function toEventFields(event: RecordedEvent): EventFields {
  return {
    event_id: event.eventId,
    type: event.type,
    reason: event.reason ?? null,
    realm_id: event.realmId ?? null,
    actor: event.actor,
    intuit_tid: event.intuitTid ?? null,
    occurred_at: event.occurredAt,
  };
}

/** A page of the timeline, newest first. */
export const eventPageSchema = z
  .object({
    events: z.array(eventSchema).meta({ description: 'Newest first.' }),
    next: z.string().nullable().meta({ description: 'The `before` of the next page; null on the last page.' }),
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
  .meta({ id: 'Webhook', description: 'An event, posted as Standard Webhooks specifies.' });

export type WebhookBody = z.input<typeof webhookSchema>;
