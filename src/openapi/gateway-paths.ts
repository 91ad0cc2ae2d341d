import type { OpenAPIRegistry, ResponseConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { organizationPath } from '../schemas/requests.ts';
import { headersOfEither, requestHeaders } from './headers.ts';
import { CLOSED, problems } from './problems.ts';

/** The gateway at both its addresses. */
export function registerGatewayPaths(registry: OpenAPIRegistry): void {
  const read = { method: 'get', summary: "Read from QuickBooks' API" } as const;
  const write = { method: 'post', summary: "Write to QuickBooks' API", body: BODY } as const;
  for (const { prefix, suffix, told } of ADDRESSES) {
    for (const { method, summary, ...body } of [read, write]) {
      registry.registerPath({
        method,
        path: `${prefix}/{organization_id}/{resource}`,
        operationId: `${method === 'get' ? 'readQuickBooks' : 'writeQuickBooks'}${suffix}`,
        tags: ['Gateway'],
        summary,
        description: told,
        request: { params: gatewayPath, query: gatewayQuery, headers: requestHeaders, ...body },
        responses: {
          200: answer("QuickBooks' answer, unchanged.", {
            'application/json': { schema: {}, examples: { company: { value: COMPANY_INFO } } },
            '*/*': { schema: {} },
          }),
          ...problems(registry, GATEWAY, 'quickbooks'),
          default: answer("QuickBooks' answer with any other status, unchanged. Never a 401, never a redirect.", {
            '*/*': { schema: {} },
          }),
        },
      });
    }
  }
}

const ADDRESSES = [
  {
    prefix: '/api/v1/quickbooks',
    suffix: '',
    told: "Forwards the call to `/v3/company/{realmId}/{resource}` of Intuit's API with the connection's access token, which is renewed if need be. Query and body go as they are; of the headers `Accept`, `Accept-Encoding`, `Accept-Language`, `Content-Type` and `Content-Encoding`, and the request's `X-Request-Id`. The answer is streamed back.",
  },
  {
    prefix: '/v3/company',
    suffix: 'AsCompany',
    told: "The same where QuickBooks' own client libraries look: give them this service as base URL, the organization as company id and an API key as access token, and they work unchanged.",
  },
] as const;

const gatewayPath = organizationPath.extend({
  resource: z.string().meta({
    description:
      'What QuickBooks documents below `/v3/company/{realmId}/`: `query`, `invoice`, `invoice/145`, `reports/ProfitAndLoss` … It may span several segments, its slashes sent as they are (`%2F` is refused), and cannot leave the company.',
    example: 'companyinfo/9341452000000001',
  }),
});

/** An object in a query stands there as its properties. */
const gatewayQuery = z.object({
  parameters: z
    .record(z.string(), z.string())
    .meta({
      description: "QuickBooks' own query parameters, each by its name: `query`, `minorversion`, `requestid` …",
      example: { minorversion: '75' },
    })
    .optional(),
});

const BODY = {
  description: 'At most 1 MiB, byte for byte as QuickBooks is to get it.',
  content: {
    'application/json': {
      schema: {},
      examples: {
        invoice: {
          value: {
            Line: [
              {
                Amount: 100,
                DetailType: 'SalesItemLineDetail',
                SalesItemLineDetail: { ItemRef: { value: '1', name: 'Services' } },
              },
            ],
            CustomerRef: { value: '1' },
          },
        },
      },
    },
    '*/*': { schema: {} },
  },
};

const GATEWAY = [
  ...CLOSED,
  'connection_not_found',
  'reauthorization_required',
  'provider_error',
  'provider_unavailable',
] as const;

const COMPANY_INFO = {
  CompanyInfo: { Id: '1', CompanyName: 'Sandbox Company_US_1', Country: 'US' },
  time: '2026-02-10T06:00:00.000-08:00',
};

function answer(description: string, content: NonNullable<ResponseConfig['content']>) {
  return { description, headers: headersOfEither(), content };
}
