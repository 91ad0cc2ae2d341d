import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** One delivery of an event. */
export interface Post {
  headers: IncomingHttpHeaders;
  body: string;
  /** The body, parsed. */
  event: { type: string; timestamp: string; data: Record<string, unknown> };
}

/** Receives webhooks. */
export interface WebhookReceiver {
  url: string;
  secret: string;
  /** The variables of a service that posts here. */
  env: Record<string, string>;
  /** Every delivery, accepted or not, in order of arrival. */
  posts: Post[];
  /** The status of every response, or `hang` for none; a function decides for each delivery. Default: 204. */
  response: number | 'hang' | ((post: Post) => number | 'hang' | Promise<number>);
  /** The types of an organization's events, in order of arrival. */
  typesOf(organizationId: string): string[];
  close(): Promise<void>;
}

/** Starts a receiver on a free port. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const post: Post = { headers: request.headers, body, event: JSON.parse(body) };
    receiver.posts.push(post);
    const status = typeof receiver.response === 'function' ? await receiver.response(post) : receiver.response;
    if (status !== 'hang') response.writeHead(status, { location: `${receiver.url}/elsewhere` }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const receiver: WebhookReceiver = {
    url,
    secret,
    env: { EVENTS_WEBHOOK_URL: url, EVENTS_WEBHOOK_SECRET: secret },
    posts: [],
    response: 204,
    typesOf: (organizationId) =>
      receiver.posts
        .filter(({ event }) => event.data['organization_id'] === organizationId)
        .map(({ event }) => event.type),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return receiver;
}
