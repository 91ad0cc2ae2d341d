import { STATUS_CODES } from 'node:http';
import type { OpenAPIRegistry, RouteConfig } from '@asteasolutions/zod-to-openapi';
import type { ErrorCode } from '../errors.ts';
import { STATUS } from '../middleware/error-handler.ts';
import { ERRORS } from '../schemas/problem.ts';
import { ALWAYS, HEADERS, type HeaderName, headers, headersOfEither, LIMITED } from './headers.ts';

/** Errors that every route can answer. */
const EVERYWHERE = ['method_not_allowed', 'payload_too_large', 'internal_error'] as const;

/** Errors of every route of one organization that needs credentials. */
export const CLOSED = ['invalid_request', 'unauthorized', 'forbidden', 'rate_limited', 'service_unavailable'] as const;

/** What an answer may hold in place of the problem. */
type Beside = 'page' | 'quickbooks';

/** A route's answers for these errors and those that it has in any case, by status. */
export function problems(
  registry: OpenAPIRegistry,
  codes: readonly ErrorCode[],
  beside?: Beside,
): RouteConfig['responses'] {
  const all = [...new Set([...codes, ...EVERYWHERE])].sort();
  const statuses = [...new Set(all.map((code) => STATUS[code]))];
  return Object.fromEntries(
    statuses.map((status) => {
      const ofStatus = all.filter((code) => STATUS[code] === status);
      const isOurs = status === STATUS.unauthorized && beside === 'quickbooks'; // its 401 renews the token
      return [status, problem(registry, status, ofStatus, isOurs ? undefined : beside)];
    }),
  );
}

/** Kept once for all routes that answer alike. */
function problem(registry: OpenAPIRegistry, status: number, codes: ErrorCode[], beside: Beside | undefined) {
  const name = [...codes, ...(beside ? [beside] : [])].join('.');
  const meanings = codes.map((code) => `\`${code}\`: ${ERRORS[code]}.`).join('\n\n');
  const content = { 'application/problem+json': { schema: narrowed(status, codes), examples: examples(codes) } };
  return registry.registerComponent('responses', name, {
    description: `${meanings}${beside ? ALTERNATIVES[beside].told : ''}`,
    headers: headersOf(status, beside),
    content: { ...content, ...(beside ? ALTERNATIVES[beside].content : {}) },
  }).ref;
}

const ALTERNATIVES = {
  page: {
    told: '\n\nA browser that prefers `text/html` gets it as a small page.',
    content: { 'text/html': { schema: { type: 'string' } } },
  },
  quickbooks: {
    told: "\n\nOr QuickBooks' own answer with this status, unchanged: it never has the content type of a problem.",
    content: { '*/*': { schema: {} } },
  },
} as const;

function narrowed(status: number, codes: ErrorCode[]) {
  return {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { properties: { status: { const: status }, code: { enum: codes } } },
    ],
  };
}

function headersOf(status: number, beside: Beside | undefined) {
  const own = OWN_HEADERS[status] ?? [];
  if (beside === 'quickbooks') return headersOfEither(...own);
  return headers(...(UNLIMITED.includes(status) ? ALWAYS : LIMITED), ...own);
}

const OWN_HEADERS: Record<number, HeaderName[]> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** Answered before anybody is counted. */
const UNLIMITED = [STATUS.method_not_allowed, STATUS.payload_too_large];

function examples(codes: ErrorCode[]) {
  return Object.fromEntries(codes.map((code) => [code, { value: example(code) }]));
}

function example(code: ErrorCode) {
  const status = STATUS[code];
  const request_id = HEADERS['X-Request-Id'].example;
  return { type: 'about:blank', title: STATUS_CODES[status], status, detail: DETAILS[code], code, request_id };
}

const DETAILS: Record<ErrorCode, string> = {
  invalid_request: 'organization_id must be 1 to 36 characters of A-Z, a-z, 0-9, _ and -',
  invalid_state: 'This sign-in was already completed. Please start connecting again.',
  authorization_code_rejected: 'QuickBooks did not accept this sign-in. Please start connecting again.',
  company_mismatch: 'The sign-in is not for the company that was chosen. Please connect again.',
  unauthorized: 'Valid credentials are needed to call this service.',
  forbidden: 'These credentials are for another organization.',
  not_found: 'There is nothing at this address.',
  connection_not_found: 'This organization is not connected to QuickBooks.',
  method_not_allowed: 'This address answers GET, HEAD alone.',
  reauthorization_required: 'The connection to QuickBooks was lost. Please connect again.',
  payload_too_large: 'The body is larger than 1 MiB.',
  rate_limited: 'Too many requests. Please try again in a minute.',
  internal_error: 'Something went wrong in this service.',
  provider_error: 'QuickBooks answered this service in a way it cannot use.',
  provider_unavailable: 'QuickBooks is not answering just now. Please try again later.',
  service_unavailable: 'The database of this service is not available just now.',
};
