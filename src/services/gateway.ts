import { Agent, type Dispatcher } from 'undici';
import type { Config } from '../config/config.ts';
import type { Connection } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import { within } from '../utils/with-timeout.ts';
import { providerError, providerUnavailable } from './provider-errors.ts';
import { LONGEST_WAIT } from './refresh-policy.ts';
import type { OpenConnection, TokenManager } from './token-manager.ts';

/** A request to QuickBooks, its path already checked by `resourcePath`. */
interface GatewayRequest {
  organizationId: string;
  method: 'GET' | 'POST';
  /** Below the company, with the query: `invoice/1?minorversion=75`. */
  resource: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
  /** Aborted when nobody waits for the answer any more. */
  giveUp: AbortController;
}

/** QuickBooks' answer: its body is still on the way. */
type GatewayResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

/** How long QuickBooks may fall silent in the middle of an answer. */
const SILENCE_MS = 60_000;
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

/** Forwards calls to QuickBooks with the connection's access token, which goes nowhere else. */
export class Gateway {
  private readonly agent: Agent;
  private readonly base: URL;

  constructor(
    private readonly tokenManager: TokenManager,
    private readonly settings: Config['quickbooks'],
    private readonly logger: Logger,
  ) {
    this.base = new URL(settings.apiBaseUrl);
    this.agent = new Agent({ connect: { timeout: settings.timeoutMs }, bodyTimeout: SILENCE_MS });
  }

  /**
   * One call, and one more with a renewed token where QuickBooks refuses the first.
   * @throws AppError as `TokenManager.accessToken`; `provider_error` where the renewed token is refused as well
   */
  async forward(call: GatewayRequest): Promise<GatewayResponse> {
    try {
      return await within(LONGEST_WAIT * this.settings.timeoutMs, this.attempt(call), () => providerUnavailable());
    } catch (error) {
      call.giveUp.abort();
      throw error;
    }
  }

  private async attempt(call: GatewayRequest): Promise<GatewayResponse> {
    const opened = await this.tokenManager.accessToken(call.organizationId);
    const answer = await this.send(call, opened);
    if (answer.statusCode !== 401) return this.withoutRedirect(answer);
    discard(answer); // its text can quote the token
    const renewed = await this.tokenManager.replaceRefused(opened.connection);
    const again = await this.send(call, renewed);
    if (again.statusCode !== 401) return this.withoutRedirect(again);
    discard(again);
    this.tokenManager.pause(renewed.connection);
    this.warn('QuickBooks refused a token that was just renewed', renewed.connection, again.headers['intuit_tid']);
    throw providerError();
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }

  private async send(call: GatewayRequest, { connection, accessToken }: OpenConnection): Promise<GatewayResponse> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      call.giveUp.abort();
    }, this.settings.timeoutMs);
    try {
      return await this.agent.request({
        origin: this.base.origin,
        path: `${this.base.pathname.replace(/\/$/, '')}/v3/company/${connection.realmId}/${call.resource}`,
        method: call.method,
        headers: { ...call.headers, authorization: `Bearer ${accessToken}` },
        body: call.body ?? null,
        signal: call.giveUp.signal,
      });
    } catch (error) {
      if (call.giveUp.signal.aborted && !isLate) throw error;
      const { code, name } = error as { code?: unknown; name: string };
      this.warn('QuickBooks does not answer', connection, undefined, typeof code === 'string' ? code : name);
      throw providerUnavailable();
    } finally {
      clearTimeout(timer); // the limit is for the headers: a long answer may take its time
    }
  }

  /** No redirect of Intuit's is followed, and none is handed to a caller who might. */
  private withoutRedirect(answer: GatewayResponse): GatewayResponse {
    if (answer.statusCode < 300 || answer.statusCode >= 400) return answer;
    discard(answer);
    throw providerError();
  }

  private warn(message: string, { organizationId, realmId }: Connection, intuitTid: unknown, reason?: string): void {
    this.logger.warn({ organization_id: organizationId, realm_id: realmId, intuit_tid: intuitTid, reason }, message);
  }
}

/** Reads the rest away, so that the connection can be used again; where there is no end to it, gives the connection up. */
function discard(answer: GatewayResponse): void {
  answer.body.dump({ limit: DISCARD_BYTES, signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => undefined);
}
