import type { OpenAPIRegistry, RouteConfig } from '@asteasolutions/zod-to-openapi';
import { ERRORS, type ErrorCode } from '../errors.ts';
import {
  COMMON_HEADERS,
  HEADERS,
  type HeaderName,
  headers,
  INSUFFICIENT_SCOPE,
  passThroughHeaders,
  RATE_LIMITED_HEADERS,
} from './headers.ts';

/** Errors that every route can return. */
const COMMON_ERRORS = [
  'invalid_request',
  'method_not_allowed',
  'payload_too_large',
  'headers_too_large',
  'internal_error',
] as const;

/** Errors that every route of one organization can return. */
export const ORGANIZATION_ERRORS = [
  'invalid_request',
  'unauthorized',
  'forbidden',
  'rate_limited',
  'service_unavailable',
] as const;

/** What a response with the same status can contain instead of a problem. */
type Alternative = 'provider';

/** The responses of a route that can return these errors, and those that every route can return, by status. */
export function problems(
  registry: OpenAPIRegistry,
  codes: readonly ErrorCode[],
  alternative?: Alternative,
): RouteConfig['responses'] {
  const all = [...new Set([...codes, ...COMMON_ERRORS])].sort();
  const statuses = [...new Set(all.map((code) => ERRORS[code].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const codesOfStatus = all.filter((code) => ERRORS[code].status === status);
      const isNeverPassedThrough = alternative === 'provider' && status === ERRORS.unauthorized.status;
      return [status, problem(registry, status, codesOfStatus, isNeverPassedThrough ? undefined : alternative)];
    }),
  );
}

/** Registers a response once for all routes that share it, and returns a reference to it. */
function problem(registry: OpenAPIRegistry, status: number, codes: ErrorCode[], alternative: Alternative | undefined) {
  const name = [...codes, ...(alternative ? [alternative] : [])].join('.');
  const meanings = codes.map((code) => `\`${code}\`: ${ERRORS[code].meaning}.`);
  const { description, content } = alternative ? ALTERNATIVES[alternative] : { description: [], content: {} };
  return registry.registerComponent('responses', name, {
    description: [...meanings, ...description].join('\n\n'),
    headers: headersOf(status, alternative),
    content: {
      'application/problem+json': { schema: narrowProblem(status, codes), examples: examplesOf(codes) },
      ...content,
    },
  }).ref;
}

const ALTERNATIVES = {
  provider: {
    description: [
      "Or the provider's own response with this status, unchanged. It never has the content type of a problem.",
    ],
    content: { '*/*': { schema: {} } },
  },
} as const;

function narrowProblem(status: number, codes: ErrorCode[]) {
  return {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { properties: { status: { const: status }, code: { enum: codes } } },
    ],
  };
}

function headersOf(status: number, alternative: Alternative | undefined) {
  const ofStatus = HEADERS_BY_STATUS[status] ?? [];
  const challenge = status === ERRORS.forbidden.status ? { 'WWW-Authenticate': INSUFFICIENT_SCOPE } : {};
  if (alternative === 'provider') return { ...passThroughHeaders(...ofStatus), ...challenge };
  const general = UNCOUNTED_STATUSES.includes(status) ? COMMON_HEADERS : RATE_LIMITED_HEADERS;
  return { ...headers(...general, ...ofStatus), ...challenge };
}

const HEADERS_BY_STATUS: Record<number, HeaderName[]> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** Returned before a rate limit counts the request. */
const UNCOUNTED_STATUSES: number[] = [ERRORS.method_not_allowed.status];

function examplesOf(codes: ErrorCode[]) {
  return Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]));
}

function exampleOf(code: ErrorCode) {
  const { status, title, detail } = ERRORS[code];
  return { type: 'about:blank', title, status, detail, code, request_id: HEADERS['X-Request-Id'].example };
}
