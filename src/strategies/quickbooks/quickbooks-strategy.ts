import { z } from 'zod';
import type { QuickBooksConfig } from '../../config/config.ts';
import type { Egress } from '../../egress/egress.ts';
import type { NewTokenSet, PlainToken, RealmId, TokenSet } from '../../models/connection.ts';
import type { Clock } from '../../utils/clock.ts';
import type {
  AccountingStrategy,
  AuthorizedCallback,
  CallbackParameters,
  Company,
  NewGrant,
  ProviderProfile,
} from '../accounting-strategy.ts';
import { ProviderError } from '../provider-error.ts';
import { disconnectedQuery, parseQuickBooksCallback, REALM_ID } from './callback.ts';
import { mapCompanyInfo } from './company-info-path.ts';
import { ACCOUNTING_SCOPE, callIntuit, IntuitClient } from './intuit-client.ts';
import { companyError, intuitTid, tokenEndpointError } from './intuit-failures.ts';
import { IntuitHttp, type IntuitResponse } from './intuit-http.ts';

const MINOR_VERSION = 75;
const DAY_MS = 86_400_000;
/** The lifetimes that Intuit documents, in seconds, for a response that does not contain them. */
const DEFAULT_ACCESS_TOKEN_SECONDS = 3600;
const DEFAULT_REFRESH_TOKEN_SECONDS = 100 * 86_400;
const MAX_COMPANY_NAME_LENGTH = 255;

interface QuickBooksDependencies {
  settings: QuickBooksConfig;
  /** Milliseconds after which an idle connection is verified; undefined: never. */
  verifyIdleMs: number | undefined;
  egress: Egress;
  clock: Clock;
}

/** QuickBooks Online, through Intuit's SDK. */
export class QuickBooksStrategy implements AccountingStrategy {
  readonly system = 'quickbooks';
  readonly profile: ProviderProfile;
  private readonly settings: QuickBooksConfig;
  private readonly clock: Clock;
  private readonly http: IntuitHttp;

  constructor({ settings, verifyIdleMs, egress, clock }: QuickBooksDependencies) {
    this.settings = settings;
    this.clock = clock;
    this.http = new IntuitHttp({ timeoutMs: settings.timeoutMs, egress, clock });
    this.profile = {
      title: 'QuickBooks',
      redirectUri: settings.redirectUri,
      timeoutMs: settings.timeoutMs,
      companyId: REALM_ID,
      api: {
        baseUrl: settings.apiBaseUrl,
        companyPath: (realmId) => `/v3/company/${realmId}`,
        headers: {},
        timeoutMs: settings.gatewayTimeoutMs,
        limits: settings.companyLimits,
        mapResource: mapCompanyInfo,
        idempotencyParameter: 'requestid',
        readsByPost: ['query'],
        nativePath: '/v3/company',
      },
      maintenance: { keepAliveMs: 14 * DAY_MS, expiryNoticesMs: [30 * DAY_MS, 7 * DAY_MS], verifyIdleMs },
    };
  }

  authorizationUrl(state: string): string {
    const client = new IntuitClient(this.settings, this.http);
    const url = new URL(this.settings.authorizeUrl);
    // The SDK's own host is a static of the whole process, so only its query is used.
    url.search = new URL(client.authorizeUri({ scope: ACCOUNTING_SCOPE, state })).search;
    return url.href;
  }

  parseCallback(query: unknown): CallbackParameters {
    return parseQuickBooksCallback(query);
  }

  parseDisconnected(query: unknown): RealmId | undefined {
    return disconnectedQuery.safeParse(query).data?.realmId as RealmId | undefined;
  }

  async exchangeCode({ code, realmId }: AuthorizedCallback): Promise<NewGrant> {
    const callbackUrl = `${this.settings.redirectUri}?${new URLSearchParams({ code })}`;
    const { refreshToken, ...tokens } = await this.requestTokens((client) => client.createToken(callbackUrl));
    if (!refreshToken || !realmId) throw new ProviderError('unreadable', { status: 200, intuitTid: tokens.intuitTid });
    return { realmId, tokens: { ...tokens, refreshToken } satisfies NewTokenSet };
  }

  async refresh(refreshToken: PlainToken, maySend?: () => boolean): Promise<TokenSet> {
    return this.requestTokens((client) => client.refreshUsingToken(refreshToken), maySend);
  }

  async revoke(refreshToken: PlainToken): Promise<void> {
    const response = await this.call((client) => client.revoke({ refresh_token: refreshToken }));
    if (response.status === 200) return;
    const error = tokenEndpointError(response, this.clock.now());
    const isGone = response.status === 400 && error.failure !== 'application_rejected'; // the grant had ended before
    if (!isGone) throw error;
  }

  async readCompany(realmId: RealmId, accessToken: PlainToken): Promise<Company> {
    const url = `${this.settings.apiBaseUrl}/v3/company/${realmId}/companyinfo/${realmId}?minorversion=${MINOR_VERSION}`;
    const response = await this.http.send({
      url,
      method: 'GET',
      headers: { accept: 'application/json', authorization: `Bearer ${accessToken}` },
    });
    const company = response.status === 200 ? companyInfo.safeParse(response.body).data : undefined;
    if (!company) throw companyError(response, this.clock.now());
    return { name: company.CompanyInfo.CompanyName };
  }

  private async requestTokens(operation: Operation, maySend?: () => boolean): Promise<TokenSet> {
    const startedAt = this.clock.now().getTime(); // lifetimes count from before the call, never later than Intuit's own
    const response = await this.call(operation, maySend);
    if (response.status !== 200) throw tokenEndpointError(response, this.clock.now());
    const tokens = tokenResponse.safeParse(response.body).data;
    if (!tokens) throw tokenEndpointError(response, this.clock.now());
    const after = (seconds: number) => new Date(startedAt + seconds * 1000);
    const ownLifetime = tokens.x_refresh_token_expires_in;
    return {
      accessToken: tokens.access_token as PlainToken,
      accessTokenExpiresAt: after(tokens.expires_in ?? DEFAULT_ACCESS_TOKEN_SECONDS),
      refreshToken: tokens.refresh_token as PlainToken | undefined,
      refreshTokenExpiresAt: after(ownLifetime ?? DEFAULT_REFRESH_TOKEN_SECONDS),
      isRefreshExpiryAssumed: ownLifetime === undefined,
      authorizationExpiresAt:
        tokens.x_refresh_token_hard_expires_in === undefined
          ? undefined
          : after(tokens.x_refresh_token_hard_expires_in),
      intuitTid: intuitTid(response),
    };
  }

  private async call(operation: Operation, maySend?: () => boolean): Promise<IntuitResponse> {
    return callIntuit({ settings: this.settings, http: this.http, operation, maySend });
  }
}

/** An operation of Intuit's SDK. */
type Operation = Parameters<typeof callIntuit>[0]['operation'];

/** Seconds, as a number or as text. Absent if it is no positive number: 0 means that Intuit does not know it. */
const lifetime = z.coerce
  .number()
  .positive()
  .max(10 * 365 * 86_400)
  .optional()
  .catch(undefined);

const tokenResponse = z.object({
  access_token: z.string().min(1).max(16_384),
  expires_in: lifetime,
  refresh_token: z.string().min(1).max(4_096).optional(),
  x_refresh_token_expires_in: lifetime,
  x_refresh_token_hard_expires_in: lifetime,
});

const companyInfo = z.object({
  CompanyInfo: z.object({
    CompanyName: z
      .string()
      .transform((name) => truncate(name, MAX_COMPANY_NAME_LENGTH) || undefined)
      .optional()
      .catch(undefined),
  }),
});

/** Cuts between characters, so that no emoji is split. */
function truncate(text: string, maxLength: number): string {
  return [...text].slice(0, maxLength).join('');
}
