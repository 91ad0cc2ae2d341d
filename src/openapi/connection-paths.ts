import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { connectLinkSchema, disconnectedSchema, statusSchema } from '../schemas/connection.ts';
import { eventPageSchema } from '../schemas/events.ts';
import { callbackCode, callbackError, eventsQuery, organizationPath } from '../schemas/requests.ts';
import { CONNECT_LINK, EVENT_PAGE, STATUS_EXAMPLES } from './examples.ts';
import { requestHeaders } from './headers.ts';
import { CLOSED, problems } from './problems.ts';
import { json, redirection } from './responses.ts';

const OAUTH = '/api/v1/oauth/quickbooks';

/** connect, callback, status, disconnect and events. */
export function registerConnectionPaths(registry: OpenAPIRegistry): void {
  registry.registerPath({
    method: 'get',
    path: `${OAUTH}/connect/{organization_id}`,
    operationId: 'connect',
    tags: ['Connection'],
    summary: 'Send a browser to Intuit',
    description:
      "To be opened in a browser, with credentials or by a link (`POST` makes one). It goes on to Intuit's page, where the person chooses a company and agrees, and from there to the callback. A page's script cannot follow it there: make a link instead.",
    security: [{ apiKey: [] }, { userToken: [] }, { connectLink: [] }],
    request: { params: organizationPath },
    responses: {
      302: redirection("To Intuit's page. The cookie ties the flow to this browser."),
      ...problems(registry, CLOSED, 'page'),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${OAUTH}/connect/{organization_id}`,
    operationId: 'createConnectLink',
    tags: ['Connection'],
    summary: 'Make a link that connects',
    description:
      'A link for one person who is to connect the organization: any browser may open it, without credentials, within 5 minutes and once. Give it to known people only.',
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      201: json('The link.', connectLinkSchema, { link: CONNECT_LINK }),
      ...problems(registry, CLOSED, 'page'),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${OAUTH}/callback`,
    operationId: 'callback',
    tags: ['Connection'],
    summary: 'Take what Intuit sends back',
    description:
      "Intuit sends the browser here, with a code or with an error. The state is spent, the code exchanged once, the company verified with the new token, and the connection stored in place of the organization's earlier one. Nobody calls this by hand.",
    security: [],
    request: { query: callbackQuery },
    responses: {
      302: redirection(
        'To `{FRONTEND_URL}/settings/integrations`, with `connected=true&system=quickbooks`; or, where the person said no, with `connected=false&system=quickbooks&error=access_denied` (or another code of RFC 6749 §4.1.2.1).',
      ),
      ...problems(registry, CALLBACK, 'page'),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${OAUTH}/status/{organization_id}`,
    operationId: 'getStatus',
    tags: ['Connection'],
    summary: 'Tell whether the organization is connected',
    description:
      'For the frontend to poll. It reads the database and never calls Intuit. A lost connection is mended by connecting again.',
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      200: json('Active, lost or none.', statusSchema, STATUS_EXAMPLES),
      ...problems(registry, CLOSED),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${OAUTH}/disconnect/{organization_id}`,
    operationId: 'disconnect',
    tags: ['Connection'],
    summary: 'End the connection',
    description:
      'Ends the connection here at once and then revokes it at Intuit, now or later, unless another organization uses the same company. An organization without a connection gets the same answer.',
    request: { params: organizationPath, headers: requestHeaders },
    responses: {
      200: json('There is no connection now.', disconnectedSchema, {
        disconnected: { success: true, message: 'Disconnected successfully' },
      }),
      ...problems(registry, CLOSED),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${OAUTH}/events/{organization_id}`,
    operationId: 'listEvents',
    tags: ['Connection'],
    summary: "Read the organization's timeline",
    description:
      'Who connected, when and why a connection was lost, that it recovered. Renewals that succeed are not events: `last_refreshed_at` of the status tells. Events are kept for 400 days.',
    request: { params: organizationPath, query: eventsQuery, headers: requestHeaders },
    responses: {
      200: json('A page, newest first.', eventPageSchema, { lost: EVENT_PAGE }),
      ...problems(registry, CLOSED),
    },
  });
}

/** A query has one form in the document: what one of the two does not need is optional. */
const callbackQuery = callbackCode
  .partial({ realmId: true, code: true })
  .extend({ error: callbackError.shape.error.optional() });

const CALLBACK = [
  'invalid_request',
  'invalid_state',
  'authorization_code_rejected',
  'company_mismatch',
  'rate_limited',
  'provider_error',
  'provider_unavailable',
  'service_unavailable',
] as const;
