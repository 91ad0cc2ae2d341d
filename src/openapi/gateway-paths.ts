import type { OpenAPIRegistry, ResponseConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { RealmId } from '../models/connection.ts';
import { organizationPath } from '../schemas/requests.ts';
import { passThroughHeaders, requestHeaders } from './headers.ts';
import { ORGANIZATION_ERRORS, problems } from './problems.ts';
import { identifierOf, type Provider } from './provider.ts';
import { detailsOf, type GatewayExamples } from './provider-details.ts';

/** Registers the gateway to one provider, at each path where it is mounted. */
export function registerGatewayPaths(registry: OpenAPIRegistry, provider: Provider): void {
  const { title } = provider.profile;
  const { gatewayExamples: examples } = detailsOf(provider);
  const params = gatewayPath(provider, examples);
  const query = gatewayQuery(title, examples);
  const get = { method: 'get', verb: 'read', request: {} } as const;
  const post = { method: 'post', verb: 'write', request: { body: requestBody(examples) } } as const;
  for (const { basePath, idSuffix, description } of mountsOf(provider)) {
    for (const { method, verb, request } of [get, post]) {
      registry.registerPath({
        method,
        path: `${basePath}/{organization_id}/{resource}`,
        operationId: `${verb}${identifierOf(provider)}${idSuffix}`,
        tags: ['Gateway'],
        summary: `Forwards a ${method.toUpperCase()} request to the ${title} API.`,
        description,
        request: { params, query, headers: requestHeaders, ...request },
        responses: {
          200: providerResponse(`The response of the ${title} API, unchanged.`, {
            'application/json': {
              schema: {},
              ...(examples && { examples: { company: { value: examples.responseBody } } }),
            },
            '*/*': { schema: {} },
          }),
          ...problems(registry, GATEWAY_ERRORS, 'provider'),
          default: providerResponse(
            `A response of the ${title} API with any other status, unchanged. Never a 401 or a redirect.`,
            { '*/*': { schema: {} } },
          ),
        },
      });
    }
  }
}

interface Mount {
  basePath: string;
  /** Makes the operation IDs of a second mount unique. */
  idSuffix: string;
  description: string;
}

function mountsOf(provider: Provider): Mount[] {
  const { system, profile } = provider;
  const { title, api } = profile;
  const ownMount = {
    basePath: `/api/v1/${system}`,
    idSuffix: '',
    description: `Forwards the request to \`${companyPathOf(provider)}/{resource}\` with the connection's access token, which is refreshed first if it has expired. The query and the body are forwarded unchanged, as are the headers \`Accept\`, \`Accept-Encoding\`, \`Accept-Language\`, \`Content-Type\` and \`Content-Encoding\`; \`X-Request-Id\` is added. The response is streamed back.`,
  };
  if (!api.nativePath) return [ownMount];
  const nativeMount = {
    basePath: api.nativePath,
    idSuffix: 'AsCompany',
    description: `The same gateway at the path that ${title} client libraries use: with this service as base URL, the organization as company ID and an API key as access token, they work unchanged.`,
  };
  return [ownMount, nativeMount];
}

function companyPathOf({ profile }: Provider): string {
  return profile.api.companyPath('{realmId}' as RealmId);
}

function gatewayPath(provider: Provider, examples: GatewayExamples | undefined) {
  return organizationPath.extend({
    resource: z.string().meta({
      description: `A path that ${provider.profile.title} documents below \`${companyPathOf(provider)}/\`. It can have several segments, with slashes that are not encoded (\`%2F\` is rejected), and cannot leave the company.`,
      ...(examples && { example: examples.resource }),
    }),
  });
}

/** OpenAPI writes the properties of an object in a query as parameters of their own. */
function gatewayQuery(title: string, examples: GatewayExamples | undefined) {
  return z.object({
    parameters: z
      .record(z.string(), z.string())
      .meta({
        description: `The query parameters of the ${title} API, each by its own name.`,
        ...(examples && { example: examples.query }),
      })
      .optional(),
  });
}

function requestBody(examples: GatewayExamples | undefined) {
  return {
    description: 'No more than 1 MiB. Forwarded byte for byte.',
    content: {
      'application/json': {
        schema: {},
        ...(examples && { examples: { request: { value: examples.requestBody } } }),
      },
      '*/*': { schema: {} },
    },
  };
}

const GATEWAY_ERRORS = [
  ...ORGANIZATION_ERRORS,
  'connection_not_found',
  'reauthorization_required',
  'provider_error',
  'provider_unavailable',
] as const;

function providerResponse(description: string, content: NonNullable<ResponseConfig['content']>): ResponseConfig {
  return { description, headers: passThroughHeaders(), content };
}
