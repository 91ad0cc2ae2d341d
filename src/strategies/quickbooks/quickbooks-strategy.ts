import OAuthClient from 'intuit-oauth';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { NewTokenSet, TokenSet } from '../../models/connection.ts';
import { type AccountingStrategy, ProviderError } from '../accounting-strategy.ts';
import { type IntuitAnswer, IntuitHttp } from './intuit-http.ts';

const MINOR_VERSION = 75;

/** QuickBooks Online, through Intuit's own SDK. */
export class QuickBooksStrategy implements AccountingStrategy {
  readonly system = 'quickbooks';
  private readonly http: IntuitHttp;

  constructor(
    private readonly settings: Config['quickbooks'],
    private readonly now: () => Date,
  ) {
    this.http = new IntuitHttp(settings.timeoutMs);
  }

  authorizationUrl(state: string): string {
    const scope = OAuthClient.scopes.Accounting;
    const url = new URL(this.settings.authorizeUrl);
    url.search = new URL(this.client().authorizeUri({ scope, state })).search; // the SDK's own host is a static
    return url.href;
  }

  async exchangeCode(code: string): Promise<NewTokenSet> {
    const callbackUrl = `${this.settings.redirectUri}?${new URLSearchParams({ code })}`;
    const tokens = await this.requestTokens((client) => client.createToken(callbackUrl));
    const { refreshToken, refreshTokenExpiresAt } = tokens;
    if (!refreshToken || !refreshTokenExpiresAt) {
      throw new ProviderError('unreadable', { status: 200, intuitTid: tokens.intuitTid });
    }
    return { ...tokens, refreshToken, refreshTokenExpiresAt };
  }

  async refresh(refreshToken: string): Promise<TokenSet> {
    return this.requestTokens((client) => client.refreshUsingToken(refreshToken));
  }

  async revoke(refreshToken: string): Promise<void> {
    const answer = await this.call((client) => client.revoke({ refresh_token: refreshToken }));
    const isGone = answer.status === 200 || (answer.status === 400 && oauthError(answer) !== 'invalid_client');
    if (!isGone) throw toProviderError(answer, this.now());
  }

  async companyName(realmId: string, accessToken: string): Promise<string | undefined> {
    const url = `${this.settings.apiBaseUrl}/v3/company/${realmId}/companyinfo/${realmId}?minorversion=${MINOR_VERSION}`;
    const answer = await this.http.send(url, {
      method: 'GET',
      headers: { accept: 'application/json', authorization: `Bearer ${accessToken}` },
    });
    if (answer.status === 401 || answer.status === 403) throw new ProviderError('refused', factsOf(answer, this.now()));
    if (answer.status !== 200) throw toProviderError(answer, this.now());
    return companyInfo.safeParse(answer.body).data?.CompanyInfo.CompanyName;
  }

  private async requestTokens(operation: (client: IntuitClient) => Promise<unknown>): Promise<TokenSet> {
    const askedAt = this.now().getTime(); // lifetimes count from before the call: never later than Intuit's own
    const answer = await this.call(operation);
    if (answer.status !== 200) throw toProviderError(answer, this.now());
    const tokens = tokenAnswer.safeParse(answer.body).data;
    if (!tokens) throw new ProviderError('unreadable', { ...factsOf(answer, this.now()), outcomeUnknown: true });
    const after = (seconds: number | undefined) => (seconds ? new Date(askedAt + seconds * 1000) : undefined);
    const refreshTokenHardExpiresAt = after(tokens.x_refresh_token_hard_expires_in);
    return {
      accessToken: tokens.access_token,
      accessTokenExpiresAt: new Date(askedAt + tokens.expires_in * 1000),
      refreshToken: tokens.refresh_token,
      refreshTokenExpiresAt: sooner(after(tokens.x_refresh_token_expires_in), refreshTokenHardExpiresAt),
      refreshTokenHardExpiresAt,
      intuitTid: header(answer, 'intuit_tid'),
    };
  }

  /** One operation of the SDK's, on an instance of its own. What counts is Intuit's answer, not what the SDK makes of it. */
  private async call(operation: (client: IntuitClient) => Promise<unknown>): Promise<IntuitAnswer> {
    const client = this.client();
    await operation(client).catch(() => undefined); // the SDK's error holds the credentials and the token
    if (client.failure) throw client.failure;
    if (!client.answer) throw new ProviderError('misconfigured', { reason: 'not_sent' });
    return client.answer;
  }

  private client(): IntuitClient {
    return new IntuitClient(this.settings, this.http);
  }
}

/** The SDK's client for one operation, with our own way to the wire. */
class IntuitClient extends OAuthClient {
  answer: IntuitAnswer | undefined;
  failure: unknown;

  constructor(
    private readonly settings: Config['quickbooks'],
    private readonly http: IntuitHttp,
  ) {
    const { clientId, clientSecret, environment, redirectUri } = settings;
    super({ clientId, clientSecret, environment, redirectUri, includeRefreshTokenHardExpiresIn: true });
  }

  override async loadResponse(request: SdkRequest): Promise<SdkResponse> {
    const isRevocation = request.url === OAuthClient.revokeEndpoint;
    try {
      this.answer = await this.http.send(isRevocation ? this.settings.revokeUrl : this.settings.tokenUrl, {
        method: 'POST',
        headers: request.headers,
        body: isRevocation ? JSON.stringify(request.data) : new URLSearchParams(request.data).toString(),
      });
    } catch (error) {
      this.failure = error;
      throw error;
    }
    return {
      status: this.answer.status,
      statusText: '',
      headers: this.answer.headers,
      data: this.answer.body,
    };
  }
}

interface SdkRequest {
  url: string;
  headers: Record<string, string>;
  data: Record<string, string>;
}

interface SdkResponse {
  status: number;
  statusText: string;
  headers: IntuitAnswer['headers'];
  data: unknown;
}

const lifetime = z.coerce
  .number()
  .positive()
  .max(10 * 365 * 86_400);

const tokenAnswer = z.object({
  access_token: z.string().min(1).max(16_384),
  expires_in: lifetime,
  refresh_token: z.string().min(1).max(4_096).optional(),
  x_refresh_token_expires_in: lifetime.optional().catch(undefined),
  x_refresh_token_hard_expires_in: lifetime.optional().catch(undefined),
});

const companyInfo = z.object({
  CompanyInfo: z.object({
    CompanyName: z
      .string()
      .min(1)
      .transform((name) => name.slice(0, 255)),
  }),
});

/** RFC 6749 §5.2. Any other text stays where it is. */
const OAUTH_ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
];

const RETRY_LATER = [408, 425, 429];
/** The provider was at work when it failed, and may have done what was asked. */
const BROKE_OFF = [500, 502, 504];

function toProviderError(answer: IntuitAnswer, now: Date): ProviderError {
  const facts = factsOf(answer, now);
  if (answer.status >= 500 || RETRY_LATER.includes(answer.status)) {
    return new ProviderError('unavailable', { ...facts, outcomeUnknown: BROKE_OFF.includes(answer.status) });
  }
  if (answer.status < 300) return new ProviderError('unreadable', { ...facts, outcomeUnknown: true });
  if (facts.reason === 'invalid_grant') return new ProviderError('refused', facts);
  return new ProviderError('misconfigured', facts);
}

function factsOf(answer: IntuitAnswer, now: Date) {
  return {
    status: answer.status,
    reason: oauthError(answer),
    intuitTid: header(answer, 'intuit_tid'),
    retryAfterSeconds: retryAfter(header(answer, 'retry-after'), now),
  };
}

function oauthError(answer: IntuitAnswer): string | undefined {
  const { error } = Object(answer.body) as { error?: unknown };
  return OAUTH_ERRORS.find((code) => code === error);
}

function header(answer: IntuitAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return (Array.isArray(value) ? value[0] : value)?.slice(0, 100);
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfter(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - now.getTime()) / 1000);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}

function sooner(a: Date | undefined, b: Date | undefined): Date | undefined {
  if (!a || !b) return a;
  return a < b ? a : b;
}
