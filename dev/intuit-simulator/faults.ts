import type { Call } from './calls.ts';
import { empty, html, json, type SimulatedResponse } from './responses.ts';

const TARGETS = ['token', 'revoke', 'api', 'companyinfo'] as const;
const KINDS = [
  /** Waits for `delayMs`, then handles the call as usual. A caller that disconnected meanwhile has changed nothing. */
  'slow',
  /** Never responds and changes nothing. */
  'hang',
  /** Breaks the connection and changes nothing. */
  'drop_before',
  /** Handles the call (exchanges, rotates, revokes), then breaks the connection. */
  'drop_after',
  /** Handles the call, then never responds. */
  'hang_after',
  /** Handles the call at once, but responds after `delayMs`. */
  'slow_after',
  /** Handles the call, sends the headers and half of the body, then breaks the connection. */
  'truncate',
  /** Returns `status`, with `retryAfter`, `body` and `contentType` if given. */
  'status',
  /** Returns 200 with an HTML page. */
  'html',
  /** Returns 200 with an empty body. */
  'empty',
  /** Returns 307 to `location`. */
  'redirect',
  /** Returns 401 `invalid_client`. */
  'invalid_client',
  /** Returns 400 `invalid_grant`. The grant remains valid. */
  'invalid_grant',
  /** Returns 400 `invalid_request`. */
  'invalid_request',
  /** Returns 200 with `body` as JSON. */
  'json',
  /** Token endpoint: returns no `refresh_token`. The one that was sent remains valid. */
  'omit_refresh_token',
  /** Token endpoint: returns numbers as strings. */
  'strings',
] as const;

/** What happens to a call: one of the list above. */
export type FaultKind = (typeof KINDS)[number];

/** A fault: which calls it is applied to, how often, and what happens to them. */
export interface Fault {
  /** `companyinfo` is part of `api`. */
  on: (typeof TARGETS)[number];
  /** For the token endpoint: only calls with this grant type. */
  grantType?: 'authorization_code' | 'refresh_token';
  kind: FaultKind;
  /** The number of calls that it is applied to. Infinity (null in JSON) for all. Default: 1. */
  times?: number | null;
  /** Default: 1000. */
  delayMs?: number;
  /** For `slow` and `slow_after`: what the response waits for, in place of `delayMs`. */
  until?: Promise<void>;
  /** Default: 503. */
  status?: number;
  /** Seconds or an HTTP date. */
  retryAfter?: number | string;
  /** A string is sent as it is, anything else as JSON. */
  body?: unknown;
  contentType?: string;
  location?: string;
}

/** The faults that are pending. Each call takes the oldest one that matches it. */
export class Faults {
  private pending: { fault: Fault; left: number }[] = [];

  /** @throws TypeError if the simulator does not know the fault */
  add(fault: Fault): void {
    if (!TARGETS.includes(fault?.on)) throw new TypeError(`on: one of ${TARGETS.join(', ')}`);
    if (!KINDS.includes(fault.kind)) throw new TypeError(`kind: one of ${KINDS.join(', ')}`);
    this.pending.push({ fault, left: fault.times === null ? Number.POSITIVE_INFINITY : (fault.times ?? 1) });
  }

  clear(): void {
    this.pending = [];
  }

  /** Returns the fault for this call, if there is one, and counts it. */
  take(call: Call): Fault | undefined {
    const next = this.pending.find(({ fault }) => matches(fault, call));
    if (!next) return undefined;
    next.left -= 1;
    this.pending = this.pending.filter(({ left }) => left > 0);
    call.fault = next.fault.kind;
    return next.fault;
  }
}

function matches(fault: Fault, call: Call): boolean {
  if (fault.grantType && fault.grantType !== call.grantType) return false;
  if (fault.on === 'companyinfo') return call.endpoint === 'api' && /\/companyinfo\//i.test(call.path);
  return fault.on === call.endpoint;
}

/** The response of a fault that replaces the usual one. Undefined if the call is to be handled. */
export function faultResponse(fault: Fault): SimulatedResponse | undefined {
  switch (fault.kind) {
    case 'status':
      return statusResponse(fault);
    case 'html':
      return html(200, '<!doctype html><title>Intuit</title><h1>We&rsquo;ll be right back</h1>');
    case 'empty':
      return empty(200);
    case 'redirect':
      return { status: 307, headers: { location: fault.location ?? '/elsewhere' }, body: '' };
    case 'invalid_client':
      return json(401, { error: 'invalid_client' });
    case 'invalid_grant':
    case 'invalid_request':
      return json(400, { error: fault.kind });
    case 'json':
      return json(200, fault.body ?? {});
    default:
      return undefined;
  }
}

function statusResponse({ status = 503, retryAfter, body = '', contentType }: Fault): SimulatedResponse {
  const response = typeof body === 'string' ? { status, body } : json(status, body);
  const headers: Record<string, string> = { ...response.headers };
  if (contentType !== undefined) headers['content-type'] = contentType;
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  return { ...response, headers };
}
