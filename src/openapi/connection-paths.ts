import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { disconnectedSchema, statusSchema } from '../schemas/connection.ts';
import { connectionPageSchema } from '../schemas/connection-list.ts';
import { eventPageSchema } from '../schemas/events.ts';
import { connectionsQuery, eventsQuery, organizationPath } from '../schemas/requests.ts';
import { connectionPageExample, EVENT_PAGE, statusExamples } from './examples.ts';
import { requestHeaders } from './headers.ts';
import { ORGANIZATION_ERRORS, problems } from './problems.ts';
import { operationId, type Provider } from './provider.ts';
import { jsonResponse } from './responses.ts';
import { requiresScope } from './security.ts';

/** Registers status, disconnect, events and the list of one provider. */
export function registerConnectionPaths(registry: OpenAPIRegistry, provider: Provider): void {
  const { system, profile } = provider;
  const { title } = profile;
  const basePath = `/api/v1/oauth/${system}`;

  registry.registerPath({
    method: 'get',
    path: `${basePath}/status/{organization_id}`,
    operationId: operationId('getStatus', provider),
    tags: ['Connection'],
    summary: `Returns the status of the organization's connection to ${title}.`,
    description: `Reads the database and never calls ${title}: a frontend can poll it. If the connection is lost, the user must connect again.`,
    security: requiresScope('connections:read'),
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      200: jsonResponse('The connection: active, lost, or none.', statusSchema, statusExamples(system)),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${basePath}/disconnect/{organization_id}`,
    operationId: operationId('disconnect', provider),
    tags: ['Connection'],
    summary: `Ends the organization's connection to ${title}.`,
    description: `Ends the connection, then revokes its grant at ${title}, unless an active connection of another organization uses the company; a revocation that fails is retried later. The response is the same if there is no connection.`,
    security: requiresScope('connections:write'),
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      200: jsonResponse('The organization has no connection now.', disconnectedSchema, {
        disconnected: { success: true, message: 'Disconnected successfully' },
      }),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/events/{organization_id}`,
    operationId: operationId('listEvents', provider),
    tags: ['Connection'],
    summary: "Returns the timeline of the organization's connection.",
    description:
      'Who connected and disconnected, when and why a connection was lost, and when it recovered. Successful refreshes are not events; see `last_refreshed_at` in the status. Events are kept for 400 days.',
    security: requiresScope('connections:read'),
    request: { params: organizationPath, query: eventsQuery, headers: requestHeaders },
    responses: {
      200: jsonResponse('A page of events, newest first.', eventPageSchema, { lost: EVENT_PAGE }),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/connections`,
    operationId: operationId('listConnections', provider),
    tags: ['Operations'],
    summary: `Returns all organizations' connections to ${title}.`,
    description:
      "For operators: which connections are lost, which organizations use a company. In the order of the organizations' IDs, compared by bytes. Organizations that never connected, or disconnected, are not listed. The cost of a page does not depend on the number of connections.",
    security: [{ apiKey: ['connections:list'] }],
    request: { query: connectionsQuery, headers: requestHeaders },
    responses: {
      200: jsonResponse('A page of connections.', connectionPageSchema, { page: connectionPageExample(system) }),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });
}
