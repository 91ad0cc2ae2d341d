import OAuthClient from 'intuit-oauth';
import type { QuickBooksConfig } from '../../config/config.ts';
import { ProviderError } from '../provider-error.ts';
import type { IntuitHttp, IntuitResponse } from './intuit-http.ts';

/** The scope that is requested: the company's books. */
export const ACCOUNTING_SCOPE: string = OAuthClient.scopes.Accounting;

interface IntuitCall {
  settings: QuickBooksConfig;
  http: IntuitHttp;
  operation: (client: OAuthClient) => Promise<unknown>;
  /** Asked once the connection to Intuit is open. */
  maySend?: (() => boolean) | undefined;
}

/**
 * Runs one operation of Intuit's SDK on an instance of its own, since an instance holds one token.
 * Returns Intuit's response, not what the SDK makes of it. @throws ProviderError
 */
export async function callIntuit({ settings, http, operation, maySend }: IntuitCall): Promise<IntuitResponse> {
  const client = new IntuitClient(settings, http, maySend);
  await operation(client).catch(() => undefined); // the SDK's error contains the credentials and the token
  if (client.failure) throw client.failure;
  if (!client.response) throw new ProviderError('request_rejected', { reason: 'not_sent' });
  return client.response;
}

/** The SDK's client, for its request formats alone. */
export class IntuitClient extends OAuthClient {
  response: IntuitResponse | undefined;
  failure: unknown;
  private readonly settings: QuickBooksConfig;
  private readonly http: IntuitHttp;
  private readonly maySend: (() => boolean) | undefined;

  constructor(settings: QuickBooksConfig, http: IntuitHttp, maySend?: () => boolean) {
    const { clientId, clientSecret, environment, redirectUri } = settings;
    super({ clientId, clientSecret, environment, redirectUri, includeRefreshTokenHardExpiresIn: true });
    this.settings = settings;
    this.http = http;
    this.maySend = maySend;
  }

  /** Replaces the SDK's HTTP call, which has no timeout, follows redirects and retries. */
  override async loadResponse(request: SdkRequest): Promise<SdkResponse> {
    const isRevocation = request.url === OAuthClient.revokeEndpoint;
    try {
      this.response = await this.http.send({
        url: isRevocation ? this.settings.revokeUrl : this.settings.tokenUrl,
        ...(this.maySend ? { maySend: this.maySend } : {}),
        method: 'POST',
        headers: request.headers,
        body: isRevocation ? JSON.stringify(request.data) : new URLSearchParams(request.data).toString(),
      });
    } catch (error) {
      this.failure = error;
      throw error;
    }
    const { status, headers, body } = this.response;
    return { status, statusText: '', headers, data: body };
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
  headers: IntuitResponse['headers'];
  data: unknown;
}
