import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { webhookSchema } from '../schemas/events.ts';
import { WEBHOOK } from './examples.ts';

/** Registers the webhook that is posted to `EVENTS_WEBHOOK_URL`. */
export function registerWebhooks(registry: OpenAPIRegistry): void {
  registry.registerWebhook({
    method: 'post',
    path: 'connectionEvent',
    operationId: 'receiveConnectionEvent',
    tags: ['Connection'],
    summary: 'Reports an event of a connection.',
    description:
      'Posted to `EVENTS_WEBHOOK_URL`, signed with `EVENTS_WEBHOOK_SECRET` as [Standard Webhooks](https://www.standardwebhooks.com) specifies: at least once, in order for each organization, for up to 3 days. Verify the signature, and use `webhook-id` to recognize an event that was already handled.',
    security: [],
    request: {
      headers: webhookHeaders,
      body: {
        required: true,
        content: { 'application/json': { schema: webhookSchema, examples: { lost: { value: WEBHOOK } } } },
      },
    },
    responses: {
      '2XX': { description: 'The event is delivered if the response ends within 10 seconds. Its body is ignored.' },
      default: {
        description:
          'With any other status, or without a response within 10 seconds, the event is posted again, with increasing delays.',
      },
    },
  });
}

const webhookHeaders = z.object({
  'webhook-id': z.uuid().meta({ description: 'The `event_id`, the same in every attempt.' }),
  'webhook-timestamp': z.string().regex(/^\d+$/).meta({
    description: 'When this attempt was made, in seconds since 1970. Reject old ones.',
    example: '1770732000',
  }),
  'webhook-signature': z.string().meta({
    description: '`v1,` and the HMAC-SHA-256, in base64, of ID, timestamp and body, joined by dots.',
    example: 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  }),
});
