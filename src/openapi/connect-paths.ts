import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { connectLinkSchema, statusSchema } from '../schemas/connection.ts';
import { confirmBody, connectBody, connectQuery, organizationPath } from '../schemas/requests.ts';
import { connectLinkExample, statusExamples } from './examples.ts';
import { requestHeaders } from './headers.ts';
import { ORGANIZATION_ERRORS, problems } from './problems.ts';
import { operationId, type Provider } from './provider.ts';
import { detailsOf } from './provider-details.ts';
import { jsonResponse, redirectResponse } from './responses.ts';
import { requiresScope } from './security.ts';

/** Registers connect, callback, confirm and disconnected of one provider. */
export function registerConnectPaths(registry: OpenAPIRegistry, provider: Provider): void {
  const { system, profile } = provider;
  const { title } = profile;
  const basePath = `/api/v1/oauth/${system}`;
  const failed = `A browser, whose \`Accept\` prefers \`text/html\`, is also redirected if the request fails: to the return page with \`connected=false&system=${system}&error={code}&request_id={id}\`.`;

  registry.registerPath({
    method: 'get',
    path: `${basePath}/connect/{organization_id}`,
    operationId: operationId('connect', provider),
    tags: ['Connection'],
    summary: `Redirects a browser to the ${title} consent page.`,
    description: `For a browser, with credentials or with a link that \`POST\` created. On that page the user chooses a company and agrees; ${title} then redirects to the callback. A script cannot follow these redirects: create a link instead.`,
    security: [...requiresScope('connections:write'), { connectLink: [] }],
    request: { params: organizationPath, query: connectQuery },
    responses: {
      302: redirectResponse(
        `To the ${title} consent page. The cookie ties the flow to this browser.\n\n${failed}`,
        'Set-Cookie',
      ),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${basePath}/connect/{organization_id}`,
    operationId: operationId('createConnectLink', provider),
    tags: ['Connection'],
    summary: `Creates a link that connects the organization to ${title}.`,
    description:
      'Any browser can open the link, without credentials, until it expires or a connection was made through it. Give it only to a user of the organization.',
    security: requiresScope('connections:write'),
    request: { params: organizationPath, headers: requestHeaders, body: jsonBody(connectBody, false) },
    responses: {
      201: jsonResponse('The link.', connectLinkSchema, { link: connectLinkExample(system) }),
      ...problems(registry, ORGANIZATION_ERRORS),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/callback`,
    operationId: operationId('callback', provider),
    tags: ['Connection'],
    summary: `Handles the redirect from ${title}.`,
    description: `${title} redirects the user's browser here, with a code or an error; no other caller uses this route. The state is consumed, the code is exchanged once, the company is verified with the new token, and the connection replaces the organization's previous one. If the same browser sends the state again, it gets the outcome of the first request.`,
    security: [],
    request: { query: detailsOf(provider).callbackQuery },
    responses: {
      302: redirectResponse(
        `To the return page with \`connected=true&system=${system}\`; if the user declined, with \`connected=false&system=${system}&error=access_denied\` (or another code of RFC 6749 §4.1.2.1); if the connection must be confirmed, with \`connected=pending&system=${system}&confirmation=…\`.\n\n${failed}`,
      ),
      ...problems(registry, CALLBACK_ERRORS),
    },
  });

  registry.registerPath({
    method: 'post',
    path: `${basePath}/confirm/{organization_id}`,
    operationId: operationId('confirm', provider),
    tags: ['Connection'],
    summary: 'Completes a connection that awaits its confirmation.',
    description:
      'Only if `CONNECT_CONFIRMATION` is `true`. The frontend posts the `confirmation` of the return page, with a user of the organization signed in, within 10 minutes. Until then an existing connection is unchanged.',
    security: requiresScope('connections:write'),
    request: { params: organizationPath, headers: requestHeaders, body: jsonBody(confirmBody, true) },
    responses: {
      200: jsonResponse('The connection.', statusSchema, statusExamples(system)),
      ...problems(registry, [...ORGANIZATION_ERRORS, 'invalid_confirmation']),
    },
  });

  registry.registerPath({
    method: 'get',
    path: `${basePath}/disconnected`,
    operationId: operationId('disconnected', provider),
    tags: ['Connection'],
    summary: `Handles a user who disconnected inside ${title}.`,
    description: `${title} ends the authorization and sends the user's browser here. The company's connections are verified, each no more than once a minute; one is lost only if ${title} rejects it.`,
    security: [],
    request: { query: detailsOf(provider).disconnectedQuery },
    responses: {
      302: redirectResponse(`To the return page with \`disconnected=true&system=${system}\`.`),
      ...problems(registry, ['rate_limited']),
    },
  });
}

function jsonBody(schema: typeof connectBody | typeof confirmBody, required: boolean) {
  return { required, content: { 'application/json': { schema } } };
}

const CALLBACK_ERRORS = [
  'invalid_request',
  'invalid_state',
  'authorization_code_rejected',
  'company_mismatch',
  'invalid_confirmation',
  'unauthorized',
  'rate_limited',
  'provider_error',
  'provider_unavailable',
  'service_unavailable',
] as const;
