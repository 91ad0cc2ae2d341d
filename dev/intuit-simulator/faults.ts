import type { Call } from './calls.ts';
import { type Answer, empty, html, json } from './responses.ts';

const targets = ['token', 'revoke', 'api', 'companyinfo'] as const;
const kinds = [
  /** Waits `delayMs`, then answers as usual; a caller that left meanwhile has changed nothing. */
  'slow',
  /** Never answers, changes nothing. */
  'hang',
  /** Breaks the connection, changes nothing. */
  'drop_before',
  /** Does what was asked (rotates, exchanges, revokes), then breaks the connection. */
  'drop_after',
  /** Does what was asked, then never answers. */
  'hang_after',
  /** Does what was asked at once, answers after `delayMs`. */
  'slow_after',
  /** Does what was asked, sends the headers and half of the body, then breaks the connection. */
  'truncate',
  /** Answers `status`, with `retryAfter`, `body` and `contentType` when given. */
  'status',
  /** 200 with an HTML page. */
  'html',
  /** 200 with an empty body. */
  'empty',
  /** 307 to `location`. */
  'redirect',
  /** 401 `invalid_client`. */
  'invalid_client',
  /** 400 `invalid_grant`; the grant is left as it is. */
  'invalid_grant',
  /** 400 `invalid_request`. */
  'invalid_request',
  /** 200 with `body` as JSON. */
  'json',
  /** Token endpoint: an answer without `refresh_token`; the one that was sent stays valid. */
  'omit_refresh_token',
  /** Token endpoint: numbers as strings. */
  'strings',
] as const;

/** How a call goes wrong: each is explained in the list above. */
export type FaultKind = (typeof kinds)[number];

/** A fault to come: which calls it meets, how often, and what then happens. */
export interface Fault {
  /** `companyinfo` is a part of `api`. */
  on: (typeof targets)[number];
  /** Of the token endpoint: only calls of this grant type. */
  grantType?: 'authorization_code' | 'refresh_token';
  kind: FaultKind;
  /** How many calls it meets: 1 unless told; Infinity (in JSON: null) for all. */
  times?: number | null;
  /** Default 1000. */
  delayMs?: number;
  /** Of `slow` and `slow_after`, instead of `delayMs`: the answer waits for this. */
  until?: Promise<void>;
  /** Default 503. */
  status?: number;
  /** Seconds or an HTTP date. */
  retryAfter?: number | string;
  /** Text is sent as it is, anything else as JSON. */
  body?: unknown;
  contentType?: string;
  location?: string;
}

/** The faults still to come; each call meets the oldest that fits. */
export class Faults {
  #waiting: { fault: Fault; left: number }[] = [];

  /** Throws a TypeError when the fault is none the simulator knows. */
  add(fault: Fault): void {
    if (!targets.includes(fault?.on)) throw new TypeError(`on: one of ${targets.join(', ')}`);
    if (!kinds.includes(fault.kind)) throw new TypeError(`kind: one of ${kinds.join(', ')}`);
    this.#waiting.push({ fault, left: fault.times === null ? Number.POSITIVE_INFINITY : (fault.times ?? 1) });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Takes the fault that this call meets. */
  take(call: Call): Fault | undefined {
    const next = this.#waiting.find(({ fault }) => meets(fault, call));
    if (!next) return undefined;
    next.left -= 1;
    this.#waiting = this.#waiting.filter(({ left }) => left > 0);
    call.fault = next.fault.kind;
    return next.fault;
  }
}

function meets(fault: Fault, call: Call): boolean {
  if (fault.grantType && fault.grantType !== call.grantType) return false;
  if (fault.on === 'companyinfo') return call.endpoint === 'api' && /\/companyinfo\//i.test(call.path);
  return fault.on === call.endpoint;
}

/** The answer of a fault that stands in for the usual one; undefined when the call is to be handled. */
export function answerInstead(fault: Fault): Answer | undefined {
  switch (fault.kind) {
    case 'status':
      return statusAnswer(fault);
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

function statusAnswer({ status = 503, retryAfter, body = '', contentType }: Fault): Answer {
  const answer = typeof body === 'string' ? { status, body } : json(status, body);
  const headers: Record<string, string> = { ...answer.headers };
  if (contentType !== undefined) headers['content-type'] = contentType;
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  return { ...answer, headers };
}
