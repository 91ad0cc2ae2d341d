import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { connectLinkSchema, disconnectedSchema, statusSchema } from '../schemas/connection.ts';
import { eventPageSchema } from '../schemas/events.ts';
import { eventsQuery, organizationPath } from '../schemas/requests.ts';
import { connectLinkExample, EVENT_PAGE, statusExamples } from './examples.ts';
import { requestHeaders } from './headers.ts';
import { ORGANIZATION_ERRORS, problems } from './problems.ts';
import { operationId, type Provider } from './provider.ts';
import { detailsOf } from './provider-details.ts';
import { jsonResponse, redirectResponse } from './responses.ts';

/** Registers connect, callback, status, disconnect and events of one provider. */
export function registerConnectionPaths(registry: OpenAPIRegistry, provider: Provider): void {
  const { system, profile } = provider;
  const { title } = profile;
  const basePath = `/api/v1/oauth/${system}`;

  registry.registerPath({
    method: 'get',
    path: `${basePath}/connect/{organization_id}`,
    operationId: operationId('connect', provider),
    tags: ['Connection'],
    summary: `Redirects a browser to the ${title} consent page.`,
    description: `For a browser, with credentials or with a link that \`POST\` created. On that page the user chooses a company and agrees; ${title} then redirects to the callback. A script cannot follow these redirects: create a link instead.`,
    security: [{ apiKey: [] }, { userToken: [] }, { connectLink: [] }],
    request: { params: organizationPath },
    responses: {
      302: redirectResponse(`To the ${title} consent page. The cookie ties the flow to this browser.`),
      ...problems(registry, ORGANIZATION_ERRORS, 'page'),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${basePath}/connect/{organization_id}`,
    operationId: operationId('createConnectLink', provider),
    tags: ['Connection'],
    summary: `Creates a link that connects the organization to ${title}.`,
    description:
      'Any browser can open the link, without credentials, once and within 5 minutes. Give it only to a user of the organization.',
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      201: jsonResponse('The link.', connectLinkSchema, { link: connectLinkExample(system) }),
      ...problems(registry, ORGANIZATION_ERRORS, 'page'),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/callback`,
    operationId: operationId('callback', provider),
    tags: ['Connection'],
    summary: `Handles the redirect from ${title}.`,
    description: `${title} redirects the user's browser here, with a code or an error; no other caller uses this route. The state is consumed, the code is exchanged once, the company is verified with the new token, and the connection replaces the organization's previous one.`,
    security: [],
    request: { query: detailsOf(provider).callbackQuery },
    responses: {
      302: redirectResponse(
        `To \`{FRONTEND_URL}/settings/integrations\` with \`connected=true&system=${system}\`; if the user declined, with \`connected=false&system=${system}&error=access_denied\` (or another code of RFC 6749 §4.1.2.1).`,
      ),
      ...problems(registry, CALLBACK_ERRORS, 'page'),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/status/{organization_id}`,
    operationId: operationId('getStatus', provider),
    tags: ['Connection'],
    summary: `Returns the status of the organization's connection to ${title}.`,
    description: `Reads the database and never calls ${title}: a frontend can poll it. If the connection is lost, the user must connect again.`,
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
    request: { params: organizationPath, query: eventsQuery, headers: requestHeaders },
    responses: {
      200: jsonResponse('A page of events, newest first.', eventPageSchema, { lost: EVENT_PAGE }),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });
}

const CALLBACK_ERRORS = [
  'invalid_request',
  'invalid_state',
  'authorization_code_rejected',
  'company_mismatch',
  'rate_limited',
  'provider_error',
  'provider_unavailable',
  'service_unavailable',
] as const;
