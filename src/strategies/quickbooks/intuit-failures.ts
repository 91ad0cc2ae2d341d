import { parseRetryAfter } from '../../utils/retry-after.ts';
import { ProviderError } from '../provider-error.ts';
import type { IntuitResponse } from './intuit-http.ts';

/** RFC 6749 §5.2. No other text is kept. */
const OAUTH_ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
] as const;

const RETRY_LATER = [408, 425, 429];
/** The provider was processing the call when it failed, and may have completed it. */
const MAY_BE_DONE = [500, 502, 504];
/** Intuit's code for a throttled request, returned with status 403. */
const THROTTLED = '3001';

/** Classifies a response of the token or revocation endpoint by what a caller can do about it. */
export function tokenEndpointError(response: IntuitResponse, now: Date): ProviderError {
  const details = detailsOf(response, now);
  if (isUnavailable(response.status)) {
    return new ProviderError('unavailable', { ...details, isOutcomeUnknown: MAY_BE_DONE.includes(response.status) });
  }
  if (response.status < 300) return new ProviderError('unreadable', { ...details, isOutcomeUnknown: true });
  switch (oauthError(response)) {
    case 'invalid_grant':
      return new ProviderError('rejected', details);
    case 'invalid_client':
    case 'unauthorized_client':
      return new ProviderError('application_rejected', details);
    default:
      return new ProviderError('request_rejected', details);
  }
}

/** Classifies a response to a company request: unavailable proves nothing; anything else means that the token has no access. */
export function companyError(response: IntuitResponse, now: Date): ProviderError {
  const isThrottled = response.status === 403 && faultCodes(response).includes(THROTTLED);
  const failure = isThrottled || isUnavailable(response.status) ? 'unavailable' : 'rejected';
  return new ProviderError(failure, { ...detailsOf(response, now), reason: faultCodes(response)[0] });
}

/** The OAuth error code of a response, if it is a known one. */
function oauthError(response: IntuitResponse): (typeof OAUTH_ERRORS)[number] | undefined {
  const { error } = Object(response.body) as { error?: unknown };
  return OAUTH_ERRORS.find((code) => code === error);
}

/** The transaction ID that Intuit's support asks for. */
export function intuitTid(response: IntuitResponse): string | undefined {
  return header(response, 'intuit_tid');
}

function isUnavailable(status: number): boolean {
  return status >= 500 || RETRY_LATER.includes(status);
}

function detailsOf(response: IntuitResponse, now: Date) {
  return {
    status: response.status,
    reason: oauthError(response),
    intuitTid: intuitTid(response),
    retryAfterSeconds: parseRetryAfter(header(response, 'retry-after'), now),
  };
}

/** The numeric codes of `{"Fault": {"Error": [{"code": "3001"}]}}`; lower case in some responses. */
function faultCodes({ body }: IntuitResponse): string[] {
  const { Fault, fault } = Object(body) as { Fault?: unknown; fault?: unknown };
  const { Error: upper, error: lower } = Object(Fault ?? fault) as { Error?: unknown; error?: unknown };
  const errors = [upper ?? lower ?? []].flat() as { code?: unknown }[];
  return errors.map((error) => String(Object(error).code)).filter((code) => /^\d{1,6}$/.test(code));
}

function header(response: IntuitResponse, name: string): string | undefined {
  const value = response.headers[name];
  return (Array.isArray(value) ? value[0] : value)?.slice(0, 100);
}
