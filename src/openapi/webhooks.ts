import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { webhookSchema } from '../schemas/events.ts';
import { WEBHOOK } from './examples.ts';

/** What is posted to `EVENTS_WEBHOOK_URL`. */
export function registerWebhooks(registry: OpenAPIRegistry): void {
  registry.registerWebhook({
    method: 'post',
    path: 'connectionEvent',
    operationId: 'receiveConnectionEvent',
    tags: ['Connection'],
    summary: 'An event of a connection',
    description:
      'Posted to `EVENTS_WEBHOOK_URL`, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it with `EVENTS_WEBHOOK_SECRET`: at least once, in order for each organization, for up to 3 days. Verify the signature, and let `webhook-id` keep you from handling one twice.',
    security: [],
    request: {
      headers: webhookHeaders,
      body: {
        required: true,
        content: { 'application/json': { schema: webhookSchema, examples: { lost: { value: WEBHOOK } } } },
      },
    },
    responses: {
      '2XX': { description: 'Taken, once it has ended within 10 seconds. What it says does not matter.' },
      default: {
        description: 'Not taken, as is no answer within 10 seconds: it is posted again, less and less often.',
      },
    },
  });
}

const webhookHeaders = z.object({
  'webhook-id': z.uuid().meta({ description: 'The `event_id`: the same at each try.' }),
  'webhook-timestamp': z.string().regex(/^\d+$/).meta({
    description: 'Seconds since 1970 when this try was made. Refuse old ones.',
    example: '1770732000',
  }),
  'webhook-signature': z.string().meta({
    description: '`v1,` and the HMAC-SHA-256, in base64, of id, timestamp and body with a dot between each two.',
    example: 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  }),
});
