import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { oneOf } from './fields.ts';

/** When each error is answered. */
export const ERRORS: Record<ErrorCode, string> = {
  invalid_request:
    'a parameter is missing, malformed, repeated or too long (`detail` names it), or the path is unusable',
  invalid_state: "the state is forged, expired (10 minutes), already used, or another browser's",
  authorization_code_rejected: 'Intuit refused the code',
  company_mismatch: 'the new token does not open the company named by `realmId`',
  unauthorized:
    "there are no credentials, or wrong ones, or a link that is used, expired, altered or another organization's",
  forbidden: "the credentials are another organization's, or a page of a foreign `Origin` posts",
  not_found: 'there is no such address',
  connection_not_found: 'the organization has no connection: it never had one, or was disconnected',
  method_not_allowed: 'the address has other methods, which `Allow` names',
  reauthorization_required: 'the connection is lost (the status tells why): the person must connect again',
  payload_too_large: 'the body is over 1 MiB',
  rate_limited: 'there were too many requests within a minute',
  internal_error: 'a fault of this service, of which nothing more is told',
  provider_error: 'Intuit refused this service itself, redirected, or answered in a way that cannot be used',
  provider_unavailable: 'Intuit did not answer in time, or its token endpoint is overloaded or failing',
  service_unavailable:
    'the database of this service is away or not migrated, or the key set that JWTs are checked against is away',
};

/** Every error of this service (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().meta({ description: "The status' name.", example: 'Bad Request' }),
    status: z.int().meta({ description: 'The HTTP status.', example: 400 }),
    detail: z.string().meta({ description: 'For a person to read. Its wording may change.' }),
    code: oneOf<ErrorCode>(ERRORS, 'For a program to decide by.').meta({ id: 'ErrorCode' }),
    request_id: z.string().meta({
      description: 'The `X-Request-Id` of the answer, by which the logs are searched.',
      example: '5c1b4f0e-6a9f-4b53-b1a4-5c3f0d6f2f43',
    }),
  })
  .meta({ id: 'Problem', description: 'An error of this service, as RFC 9457 has it.' });

export type Problem = z.input<typeof problemSchema>;
