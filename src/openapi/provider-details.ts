import { z } from 'zod';
import { authorizedQuery, declinedQuery, disconnectedQuery } from '../strategies/quickbooks/callback.ts';
import type { Provider } from './provider.ts';

/** What the document says about a provider beyond its profile. */
export interface ProviderDetails {
  /** The query of the provider's redirect. OpenAPI has one form of it: a parameter that one form lacks is optional. */
  callbackQuery: z.ZodObject;
  /** The query of a user who disconnected at the provider. */
  disconnectedQuery: z.ZodObject;
  gatewayPath: GatewayPath;
  /** The query parameters that many of the provider's resources have. Others are forwarded too. */
  gatewayQuery: z.ZodObject;
  gatewayExamples?: GatewayExamples;
}

/** The segments of a resource's path. */
export type GatewayPath = Record<'resource' | 'id' | 'action', { description: string; example?: string }>;

/** A gateway request and its response. */
export interface GatewayExamples {
  requestBody: object;
  responseBody: object;
}

/** Returns a provider's own details, or the default ones. */
export function detailsOf({ system }: Provider): ProviderDetails {
  return DETAILS[system] ?? DEFAULT_DETAILS;
}

const DETAILS: Partial<Record<string, ProviderDetails>> = {
  quickbooks: {
    callbackQuery: authorizedQuery
      .partial({ realmId: true, code: true })
      .extend({ error: declinedQuery.shape.error.optional() }),
    disconnectedQuery,
    gatewayPath: {
      resource: { description: 'What QuickBooks documents below `/v3/company/{realmId}/`.', example: 'invoice' },
      id: { description: 'The ID of an entity, or the name of a report.', example: '1' },
      action: { description: 'What is done with the entity, or the format it is returned in.', example: 'pdf' },
    },
    gatewayQuery: z.object({
      query: z
        .string()
        .optional()
        .meta({ description: 'With the resource `query`: the query.', example: 'select * from Invoice' }),
      minorversion: z.string().optional().meta({ description: "The minor version of QuickBooks' API.", example: '75' }),
      requestid: z.string().max(50).optional().meta({
        description:
          'Makes a POST idempotent: QuickBooks returns the first response to every request with the same ID.',
        example: 'invoice-2026-0042',
      }),
    }),
    gatewayExamples: {
      requestBody: {
        Line: [
          {
            Amount: 100,
            DetailType: 'SalesItemLineDetail',
            SalesItemLineDetail: { ItemRef: { value: '1', name: 'Services' } },
          },
        ],
        CustomerRef: { value: '1' },
      },
      responseBody: {
        CompanyInfo: { Id: '1', CompanyName: 'Sandbox Company_US_1', Country: 'US' },
        time: '2026-02-10T06:00:00.000-08:00',
      },
    },
  },
};

const DEFAULT_DETAILS: ProviderDetails = {
  gatewayPath: {
    resource: { description: "A resource of the provider's API." },
    id: { description: 'The ID of an entity.' },
    action: { description: 'What is done with the entity.' },
  },
  gatewayQuery: z.object({}),
  disconnectedQuery: z.object({}),
  callbackQuery: z.object({
    state: z.string().meta({ description: 'The state that connect issued. Valid for 10 minutes and for one use.' }),
    code: z.string().meta({ description: 'The authorization code. Required unless `error` is present.' }).optional(),
    error: z
      .string()
      .meta({
        description: 'Why there is no code, by RFC 6749 §4.1.2.1: `access_denied` if the user declined.',
        example: 'access_denied',
      })
      .optional(),
  }),
};
