import { Agent, type Dispatcher } from 'undici';
import type { ActiveConnection, ConnectionKey } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { AccountingStrategy } from '../strategies/accounting-strategy.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { Clock } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import { providerError, providerUnavailable } from './provider-errors.ts';
import { MAX_WAIT_TIMEOUTS } from './refresh-policy.ts';
import type { OpenConnection, TokenManager } from './token-manager.ts';

/** A request to the provider's API, its path already checked by `resourcePath`. */
export interface GatewayRequest extends ConnectionKey {
  method: 'GET' | 'POST';
  /** Below the company, with the query: `invoice/1?minorversion=75`. */
  resource: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
  /** Aborted when the caller has left. */
  abort: AbortController;
}

/** The provider's response; its body is still arriving. */
export type GatewayResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

/** How long the provider may send nothing in the middle of a response. */
const BODY_TIMEOUT_MS = 60_000;
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

/** Where a provider's API is, and the connections to it. */
interface Target {
  agent: Agent;
  origin: string;
  /** Without a trailing slash. */
  basePath: string;
}

interface Dependencies {
  strategies: StrategyRegistry;
  tokenManager: TokenManager;
  clock: Clock;
  logger: Logger;
}

/** Forwards calls to the provider with the connection's access token, which nothing else receives. */
export class Gateway {
  private readonly strategies: StrategyRegistry;
  private readonly tokenManager: TokenManager;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly targets = new Map<string, Target>();

  constructor({ strategies, tokenManager, clock, logger }: Dependencies) {
    this.strategies = strategies;
    this.tokenManager = tokenManager;
    this.clock = clock;
    this.logger = logger;
    for (const { system, profile } of strategies.all()) {
      const { origin, pathname } = new URL(profile.api.baseUrl);
      const agent = new Agent({ connect: { timeout: profile.timeoutMs }, bodyTimeout: BODY_TIMEOUT_MS });
      this.targets.set(system, { agent, origin, basePath: pathname.replace(/\/$/, '') });
    }
  }

  /**
   * Sends a call, and once more with a refreshed token if the provider rejects the first one.
   * @throws AppError as `TokenManager.accessToken`; `provider_error` if the refreshed token is rejected as well
   */
  async forward(request: GatewayRequest): Promise<GatewayResponse> {
    const strategy = this.strategies.get(request.system);
    try {
      return await withTimeout(this.attempt(request, strategy), {
        clock: this.clock,
        timeoutMs: MAX_WAIT_TIMEOUTS * strategy.profile.timeoutMs,
        onTimeout: () => providerUnavailable(strategy),
      });
    } catch (error) {
      request.abort.abort();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const { agent } of this.targets.values()) await agent.destroy();
  }

  private async attempt(request: GatewayRequest, strategy: AccountingStrategy): Promise<GatewayResponse> {
    const opened = await this.tokenManager.accessToken(request);
    const response = await this.send(request, opened, strategy);
    if (response.statusCode !== 401) return this.rejectRedirect(response, strategy);
    discard(response); // its text can quote the token
    const replaced = await this.tokenManager.replaceRejected(opened.connection);
    // The organization may have connected another company meanwhile, for which the request is not meant.
    if (replaced.connection.realmId !== opened.connection.realmId) throw providerUnavailable(strategy);
    const second = await this.send(request, replaced, strategy);
    if (second.statusCode !== 401) return this.rejectRedirect(second, strategy);
    discard(second);
    this.tokenManager.coolDown(replaced.connection);
    this.warn('gateway.refreshed_token_rejected', replaced.connection, { intuit_tid: second.headers['intuit_tid'] });
    throw providerError(strategy);
  }

  private async send(
    request: GatewayRequest,
    { connection, accessToken }: OpenConnection,
    strategy: AccountingStrategy,
  ): Promise<GatewayResponse> {
    const { api, timeoutMs } = strategy.profile;
    const { agent, origin, basePath } = this.targets.get(strategy.system) as Target;
    let isTimeout = false;
    const timer = this.clock.startTimer(timeoutMs, () => {
      isTimeout = true;
      request.abort.abort();
    });
    try {
      return await agent.request({
        origin,
        path: `${basePath}${api.companyPath(connection.realmId)}/${request.resource}`,
        method: request.method,
        headers: { ...api.headers, ...request.headers, authorization: `Bearer ${accessToken}` },
        body: request.body ?? null,
        signal: request.abort.signal,
      });
    } catch (error) {
      if (request.abort.signal.aborted && !isTimeout) throw error;
      const { code, name } = error as { code?: unknown; name: string };
      this.warn('gateway.no_response', connection, {
        reason: isTimeout ? 'timeout' : typeof code === 'string' ? code : name,
      });
      throw providerUnavailable(strategy);
    } finally {
      timer.cancel(); // the timeout is for the headers: a long response may take its time
    }
  }

  /** Redirects are neither followed nor returned to a caller who might follow them. */
  private rejectRedirect(response: GatewayResponse, strategy: AccountingStrategy): GatewayResponse {
    if (response.statusCode < 300 || response.statusCode >= 400) return response;
    discard(response);
    throw providerError(strategy);
  }

  private warn(event: string, { organizationId, realmId }: ActiveConnection, facts: object): void {
    this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

/** Reads the rest of a response, so that its connection can be used again, or closes the connection if there is too much. */
function discard({ body }: GatewayResponse): void {
  body.dump({ limit: DISCARD_BYTES, signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => undefined);
}
