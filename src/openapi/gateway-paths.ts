import type { OpenAPIRegistry, ResponseConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { RealmId } from '../models/connection.ts';
import { organizationPath } from '../schemas/requests.ts';
import { passThroughHeaders, requestHeaders } from './headers.ts';
import { ORGANIZATION_ERRORS, problems } from './problems.ts';
import { identifierOf, type Provider } from './provider.ts';
import { detailsOf, type GatewayExamples, type GatewayPath } from './provider-details.ts';
import { requiresScope } from './security.ts';

/** Registers the gateway to one provider: each path where it is mounted, and each form of a resource's path. */
export function registerGatewayPaths(registry: OpenAPIRegistry, provider: Provider): void {
  const { title } = provider.profile;
  const { gatewayQuery: query, gatewayExamples: examples } = detailsOf(provider);
  const get = { method: 'get', verb: 'read', request: { headers: requestHeaders }, errors: GATEWAY_ERRORS } as const;
  const postRequest = { headers: postHeaders(title), body: requestBody(examples) };
  const post = { method: 'post', verb: 'write', request: postRequest, errors: POST_ERRORS } as const;
  for (const { basePath, idSuffix, description } of mountsOf(provider)) {
    for (const [form, { names, suffix }] of Object.entries(RESOURCE_FORMS)) {
      const params = gatewayPath(provider, names);
      for (const { method, verb, request, errors } of [get, post]) {
        registry.registerPath({
          method,
          path: `${basePath}/{organization_id}/${form}`,
          operationId: `${verb}${identifierOf(provider)}${idSuffix}${suffix}`,
          tags: ['Gateway'],
          summary: `Forwards a ${method.toUpperCase()} request to the ${title} API.`,
          description: verb === 'write' ? `${description}${readsByPost(provider)}` : description,
          security: requiresScope(`${provider.system}:${verb}`),
          request: { params, query, ...request },
          responses: {
            200: providerResponse(`The response of the ${title} API, unchanged.`, {
              'application/json': {
                schema: {},
                ...(examples && { examples: { company: { value: examples.responseBody } } }),
              },
              '*/*': { schema: {} },
            }),
            ...problems(registry, errors, 'provider'),
            default: providerResponse(
              `A response of the ${title} API with any other status, unchanged. Never a 401 or a redirect.`,
              { '*/*': { schema: {} } },
            ),
          },
        });
      }
    }
  }
}

/** The forms of a resource's path: a parameter of OpenAPI cannot contain a slash. */
const RESOURCE_FORMS = {
  '{resource}': { names: ['resource'], suffix: '' },
  '{resource}/{id}': { names: ['resource', 'id'], suffix: 'ById' },
  '{resource}/{id}/{action}': { names: ['resource', 'id', 'action'], suffix: 'Action' },
} as const;

/** The resources for which a POST needs no scope for writing. */
function readsByPost({ system, profile }: Provider): string {
  const resources = profile.api.readsByPost ?? [];
  return resources.map((resource) => ` A POST of \`${resource}\` requires only the scope \`${system}:read\`.`).join('');
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

/** The path's parameters. A path with more segments is forwarded too; one that leaves the company is not. */
function gatewayPath(provider: Provider, names: readonly (keyof GatewayPath)[]) {
  const { gatewayPath: documented } = detailsOf(provider);
  const parameters = names.map((name) => [name, z.string().meta(documented[name])]);
  return organizationPath.extend(Object.fromEntries(parameters));
}

function postHeaders(title: string) {
  const description = `Makes a POST that is repeated with the same key one: ${title} receives it in the query, unless the query has one already.`;
  const key = z.string().min(1).max(50).meta({ description, example: '5c1b4f0e-6a9f-4b53-b1a4-5c3f0d6f2f43' });
  return requestHeaders.extend({ 'Idempotency-Key': key.optional() });
}

function requestBody(examples: GatewayExamples | undefined) {
  return {
    description: 'No more than 100 MiB. Forwarded byte for byte.',
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

const POST_ERRORS = [...GATEWAY_ERRORS, 'outcome_unknown'] as const;

function providerResponse(description: string, content: NonNullable<ResponseConfig['content']>): ResponseConfig {
  return { description, headers: passThroughHeaders(), content };
}
