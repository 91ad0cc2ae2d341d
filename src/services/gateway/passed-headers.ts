import type { IncomingHttpHeaders } from 'node:http';

const REQUEST_HEADERS = ['accept', 'accept-encoding', 'accept-language', 'content-type', 'content-encoding'];
const RESPONSE_HEADERS = [
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-disposition',
  'etag',
  'last-modified',
  'retry-after',
  'intuit_tid',
];

/** What a company has stored must not run as a page of this service. */
const SANDBOX = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The headers of a caller's request that the provider receives. */
export function requestHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  return pick(headers, REQUEST_HEADERS);
}

/** The headers with which a provider's response is passed on. */
export function responseHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const passed = pick(headers, RESPONSE_HEADERS);
  passed['content-security-policy'] = SANDBOX;
  return passed;
}

function pick(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) picked[name] = String(value);
  }
  return picked;
}
