import { z } from 'zod';
import { authorizedQuery, declinedQuery, disconnectedQuery } from '../strategies/quickbooks/callback.ts';
import type { Provider } from './provider.ts';

/** What the document says about a provider beyond its profile. */
export interface ProviderDetails {
  /** The query of the provider's redirect. OpenAPI has one form of it: a parameter that one form lacks is optional. */
  callbackQuery: z.ZodObject;
  /** The query of a user who disconnected at the provider. */
  disconnectedQuery: z.ZodObject;
  gatewayExamples?: GatewayExamples;
}

/** A gateway request and its response. */
export interface GatewayExamples {
  resource: string;
  query: Record<string, string>;
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
    gatewayExamples: {
      resource: 'companyinfo/9341452000000001',
      query: { minorversion: '75' },
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
