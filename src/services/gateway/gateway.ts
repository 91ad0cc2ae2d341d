import type { IncomingMessage } from 'node:http';
import type { Egress } from '../../egress/egress.ts';
import type { AccountingSystem, ActiveConnection, ConnectionKey } from '../../models/connection.ts';
import type { Logger } from '../../observability/logger.ts';
import type { StrategyRegistry } from '../../strategies/strategy-registry.ts';
import type { Clock } from '../../utils/clock.ts';
import type { MemoryBudget } from '../../utils/memory-budget.ts';
import { parseRetryAfter } from '../../utils/retry-after.ts';
import { outcomeUnknown, providerError, providerUnavailable } from '../provider-errors.ts';
import { isUsable } from '../refresh-policy.ts';
import type { OpenConnection, TokenManager } from '../token-manager.ts';
import type { CompanyLimiter } from './company-limiter.ts';
import type { ConnectionProofs } from './connection-proofs.ts';
import { type ApiCall, ProviderApi } from './provider-api.ts';
import { type CallerResponse, NoResponseError, type ProviderResponse } from './provider-exchange.ts';
import { type RequestBody, readBody } from './request-body.ts';
import { StreamedBody } from './streamed-body.ts';

/** A caller's request, its path already checked by `resourcePath`. */
export interface GatewayCall extends ApiCall {
  /** The request whose body is still arriving; absent for a GET. */
  source?: IncomingMessage;
  /** Receives the provider's response. */
  response: CallerResponse;
}

interface Dependencies {
  strategies: StrategyRegistry;
  tokenManager: TokenManager;
  proofs: ConnectionProofs;
  companyLimiter: CompanyLimiter;
  bodyMemory: MemoryBudget;
  egress: Egress;
  clock: Clock;
  logger: Logger;
}

/** Forwards calls to the provider with the connection's access token, which nothing else receives. */
export class Gateway {
  private readonly tokenManager: TokenManager;
  private readonly proofs: ConnectionProofs;
  private readonly companyLimiter: CompanyLimiter;
  private readonly bodyMemory: MemoryBudget;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly apis: Map<AccountingSystem, ProviderApi>;

  constructor({ strategies, ...dependencies }: Dependencies) {
    this.tokenManager = dependencies.tokenManager;
    this.proofs = dependencies.proofs;
    this.companyLimiter = dependencies.companyLimiter;
    this.bodyMemory = dependencies.bodyMemory;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    const { egress, clock } = dependencies;
    const apis = strategies.all().map((strategy) => new ProviderApi({ strategy, egress, clock }));
    this.apis = new Map(apis.map((api) => [api.strategy.system, api]));
  }

  /**
   * Sends a call and passes the response on; sends it once more with a refreshed token if the provider rejects the first.
   * @throws AppError as `TokenManager.accessToken`, `readBody`; `rate_limited`, `payload_too_large`; `outcome_unknown` for a POST
   * without a response; `provider_error` if the refreshed token is rejected as well
   */
  async forward(call: GatewayCall): Promise<void> {
    const opened = await this.tokenManager.accessToken(call);
    if (!opened.connection.lastVerifiedAt) await this.proofs.prove(opened.connection);
    if (!call.source) return this.sendTwice(call, opened, undefined);
    const body = await readBody(call.source, { budget: this.bodyMemory, owner: call.organizationId });
    try {
      return await this.sendTwice(call, await this.reopen(call, opened, body), body.content);
    } finally {
      body.release();
    }
  }

  async close(): Promise<void> {
    for (const api of this.apis.values()) await api.close();
  }

  /** Returns a token for a body that was read meanwhile: one that lasts for as long as a large body takes. */
  private async reopen(call: GatewayCall, opened: OpenConnection, { content }: RequestBody): Promise<OpenConnection> {
    const isStreamed = content instanceof StreamedBody;
    if (!isStreamed && isUsable(opened.connection, this.clock.now())) return opened;
    const reopened = await (isStreamed
      ? this.tokenManager.freshAccessToken(call)
      : this.tokenManager.accessToken(call));
    await this.checkReplacement(reopened.connection, opened.connection);
    return reopened;
  }

  /**
   * Checks the connection that a call continues with, since the organization may have connected again meanwhile.
   * @throws AppError `provider_unavailable` for another company; as `ConnectionProofs.prove`
   */
  private async checkReplacement(current: ActiveConnection, previous: ActiveConnection): Promise<void> {
    if (current.tokenId === previous.tokenId) return;
    // The request is not meant for another company.
    if (current.realmId !== previous.realmId) throw providerUnavailable(this.apiOf(current).strategy);
    if (!current.lastVerifiedAt) await this.proofs.prove(current);
  }

  private async sendTwice(
    call: GatewayCall,
    opened: OpenConnection,
    body: Buffer | StreamedBody | undefined,
  ): Promise<void> {
    const first = await this.send(call, opened, body);
    if (first.status !== 401) return;
    const replaced = await this.tokenManager.replaceRejected(opened.connection);
    const { strategy } = this.apiOf(call);
    if (body instanceof StreamedBody) throw providerUnavailable(strategy, 1); // the caller has the body
    await this.checkReplacement(replaced.connection, opened.connection);
    const second = await this.send(call, replaced, body);
    if (second.status !== 401) return;
    this.tokenManager.coolDown(replaced.connection);
    const { intuit_tid } = second.headers;
    this.warn('gateway.refreshed_token_rejected', replaced.connection, { intuit_tid });
    throw providerError(strategy);
  }

  /** Sends a call when the company's limits permit it. A response other than 401 was passed on. */
  private async send(
    call: GatewayCall,
    opened: OpenConnection,
    body: Buffer | StreamedBody | undefined,
  ): Promise<ProviderResponse> {
    const { strategy } = this.apiOf(call);
    return this.companyLimiter.run(strategy, opened.connection.realmId, (sendBefore) =>
      this.sendBefore(sendBefore, call, opened, body),
    );
  }

  /** @throws TurnMissedError if it could not be sent in time */
  private async sendBefore(
    sendBefore: number,
    call: GatewayCall,
    opened: OpenConnection,
    body: Buffer | StreamedBody | undefined,
  ): Promise<ProviderResponse> {
    const api = this.apiOf(call);
    const { strategy } = api;
    const { realmId } = opened.connection;
    const isPassedOn = ({ status, headers }: ProviderResponse) => {
      if (status === 429) {
        this.companyLimiter.pause(strategy, realmId, parseRetryAfter(headers['retry-after'], this.clock.now()));
      }
      return status !== 401 && !isRedirect(status); // the text of a 401 can quote the token
    };
    try {
      const received = await api.send({ call, opened, body, response: call.response, isPassedOn, sendBefore });
      if (isRedirect(received.status)) throw providerError(strategy); // a caller might follow it
      return received;
    } catch (error) {
      if (!(error instanceof NoResponseError)) throw error;
      this.warn('gateway.no_response', opened.connection, { reason: error.reason, is_sent: error.isSent });
      throw error.isSent && call.method === 'POST' ? outcomeUnknown(strategy) : providerUnavailable(strategy);
    }
  }

  private apiOf({ system }: ConnectionKey): ProviderApi {
    const api = this.apis.get(system);
    if (!api) throw new Error(`no provider is registered for the accounting system ${system}`);
    return api;
  }

  private warn(event: string, { organizationId, realmId }: ActiveConnection, facts: object): void {
    this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
