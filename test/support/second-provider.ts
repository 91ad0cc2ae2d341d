import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import type { NewTokenSet, PlainToken, RealmId, TokenSet } from '../../src/models/connection.ts';
import { once as exactlyOnce } from '../../src/schemas/fields.ts';
import { parse } from '../../src/schemas/parse.ts';
import type {
  AccountingStrategy,
  AuthorizedCallback,
  CallbackParameters,
  Company,
  NewGrant,
  ProviderProfile,
} from '../../src/strategies/accounting-strategy.ts';
import { ProviderError } from '../../src/strategies/provider-error.ts';
import type { Clock } from '../../src/utils/clock.ts';

const DAY_MS = 86_400_000;

/** A provider unlike QuickBooks: it names the company only after the exchange, and its refresh tokens last 30 days. */
export class LedgerlyStrategy implements AccountingStrategy {
  readonly system = 'ledgerly';
  readonly profile: ProviderProfile;
  private readonly origin: string;
  private readonly clock: Clock;

  constructor(origin: string, clock: Clock) {
    this.origin = origin;
    this.clock = clock;
    this.profile = {
      title: 'Ledgerly',
      redirectUri: 'http://ledgerly.localhost:8080/api/v1/oauth/ledgerly/callback',
      timeoutMs: 1_000,
      api: {
        baseUrl: `${origin}/rest`,
        companyPath: (realmId) => `/books/${realmId}`,
        headers: { 'ledgerly-version': '2' },
        timeoutMs: 1_000,
      },
      maintenance: { keepAliveMs: 5 * DAY_MS, expiryNoticesMs: [7 * DAY_MS], verifyIdleMs: undefined },
    };
  }

  authorizationUrl(state: string): string {
    return `${this.origin}/consent?${new URLSearchParams({ state })}`;
  }

  parseCallback(query: unknown): CallbackParameters {
    return 'error' in Object(query)
      ? parse(z.object({ state: exactlyOnce(), error: exactlyOnce() }), query)
      : parse(z.object({ state: exactlyOnce(), code: exactlyOnce() }), query);
  }

  async exchangeCode({ code }: AuthorizedCallback): Promise<NewGrant> {
    const { company, ...tokens } = await this.post('/token', { code });
    return { realmId: company as RealmId, tokens: this.toTokenSet(tokens) };
  }

  async refresh(refreshToken: PlainToken): Promise<TokenSet> {
    return this.toTokenSet(await this.post('/token', { refresh: refreshToken }));
  }

  async revoke(refreshToken: PlainToken): Promise<void> {
    await this.post('/revoke', { refresh: refreshToken });
  }

  async readCompany(realmId: RealmId, accessToken: PlainToken): Promise<Company> {
    const headers = { authorization: `Bearer ${accessToken}` };
    const response = await fetch(`${this.origin}/rest/books/${realmId}/profile`, { headers });
    if (!response.ok) throw new ProviderError('rejected', { status: response.status });
    return (await response.json()) as { name: string };
  }

  private async post(path: string, body: Record<string, string>): Promise<Record<string, string>> {
    const response = await fetch(`${this.origin}${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new ProviderError('rejected', { status: response.status });
    return (await response.json()) as Record<string, string>;
  }

  private toTokenSet({ access, refresh }: Record<string, string>): NewTokenSet {
    const now = this.clock.now().getTime();
    return {
      accessToken: access as PlainToken,
      accessTokenExpiresAt: new Date(now + DAY_MS),
      refreshToken: refresh as PlainToken,
      refreshTokenExpiresAt: new Date(now + 30 * DAY_MS),
      isRefreshExpiryAssumed: false,
      authorizationExpiresAt: undefined,
      intuitTid: undefined,
    };
  }
}

/** The provider itself: one company, whose tokens rotate at every refresh. */
export interface Ledgerly {
  origin: string;
  /** Method, path and version header of every request so far. */
  requests: string[];
  close(): Promise<void>;
}

export async function startLedgerly(): Promise<Ledgerly> {
  const requests: string[] = [];
  let current: { access: string; refresh: string } | undefined;
  const issue = () => {
    current = { access: `access-${randomUUID()}`, refresh: `refresh-${randomUUID()}` };
    return current;
  };
  const respond = async (request: IncomingMessage): Promise<object | undefined> => {
    if (request.method === 'GET' && request.headers.authorization !== `Bearer ${current?.access}`) return undefined;
    if (request.url?.startsWith('/rest/books/books-1/')) return { name: 'Books & Sons', path: request.url };
    const body = (await json(request)) as { code?: string; refresh?: string };
    if (body.code === 'good-code') return { ...issue(), company: 'books-1' };
    if (!current || body.refresh !== current.refresh) return undefined;
    if (request.url === '/token') return issue();
    current = undefined;
    return {};
  };
  const handle: RequestListener = async (request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers['ledgerly-version'] ?? ''}`.trim());
    const body = await respond(request);
    response.writeHead(body ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
  };
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
