import { type Dispatcher, Pool } from 'undici';
import type { Egress } from '../../egress/egress.ts';
import type { ConnectionKey } from '../../models/connection.ts';
import type { AccountingStrategy } from '../../strategies/accounting-strategy.ts';
import type { Clock } from '../../utils/clock.ts';
import type { OpenConnection } from '../token-manager.ts';
import { type CallerResponse, exchange, type ProviderResponse } from './provider-exchange.ts';
import { StreamedBody } from './streamed-body.ts';

/** How long the provider may send nothing in the middle of a response, or accept nothing in the middle of a request. */
const STALL_MS = 60_000;

/** A call to a provider's API. */
export interface ApiCall extends ConnectionKey {
  method: 'GET' | 'POST';
  /** Below the company, with the query: `invoice/1?minorversion=75`. */
  resource: string;
  headers: Record<string, string>;
  /** Makes a repeated POST one. */
  idempotencyKey?: string | undefined;
}

interface Attempt {
  call: ApiCall;
  opened: OpenConnection;
  body: Buffer | StreamedBody | undefined;
  response: CallerResponse;
  isPassedOn: (response: ProviderResponse) => boolean;
  /** As that of the request. */
  sendBefore: number;
}

/** One provider's API, and the open connections to it. */
export class ProviderApi {
  readonly strategy: AccountingStrategy;
  private readonly clock: Clock;
  private readonly dispatcher: Dispatcher;
  /** Without a trailing slash. */
  private readonly basePath: string;

  constructor({ strategy, egress, clock }: { strategy: AccountingStrategy; egress: Egress; clock: Clock }) {
    const { api, timeoutMs } = strategy.profile;
    const { origin, pathname } = new URL(api.baseUrl);
    this.strategy = strategy;
    this.clock = clock;
    this.basePath = pathname.replace(/\/$/, '');
    this.dispatcher = new Pool(origin, {
      connect: egress.connector(origin, timeoutMs),
      headersTimeout: api.timeoutMs + STALL_MS, // the exchange's own comes first, unless the request stalls
      bodyTimeout: STALL_MS,
    });
  }

  /** Sends a call to the connection's company. @throws as `exchange` */
  async send({ call, opened, body, response, isPassedOn, sendBefore }: Attempt): Promise<ProviderResponse> {
    const { api } = this.strategy.profile;
    const { connection, accessToken } = opened;
    const resource = api.mapResource?.(call.resource, connection) ?? call.resource;
    const path = `${this.basePath}${api.companyPath(connection.realmId)}/${resource}`;
    return exchange({
      request: {
        method: call.method,
        path: call.idempotencyKey === undefined ? path : this.withIdempotencyKey(path, call.idempotencyKey),
        headers: { ...api.headers, ...call.headers, ...lengthOf(body), authorization: `Bearer ${accessToken}` },
        body,
        timeoutMs: api.timeoutMs,
        sendBefore,
      },
      response,
      isPassedOn,
      dispatcher: this.dispatcher,
      clock: this.clock,
    });
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }

  /** Adds the key to the query, unless the caller has its own there. */
  private withIdempotencyKey(path: string, key: string): string {
    const name = this.strategy.profile.api.idempotencyParameter;
    if (name === undefined) return path;
    const [, query] = /\?(.*)$/.exec(path) ?? [];
    const names = [...new URLSearchParams(query).keys()].map((each) => each.toLowerCase());
    if (names.includes(name)) return path;
    return `${path}${query === undefined ? '?' : '&'}${name}=${encodeURIComponent(key)}`;
  }
}

/** Undici knows the length of any other body itself. */
function lengthOf(body: Buffer | StreamedBody | undefined): Record<string, string> {
  return body instanceof StreamedBody && body.length !== undefined ? { 'content-length': body.length } : {};
}
