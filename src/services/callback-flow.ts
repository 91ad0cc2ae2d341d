import type { Confirmations } from '../auth/confirmations.ts';
import { linkRejected } from '../auth/connect-links.ts';
import type { OAuthState, OAuthStates } from '../auth/oauth-states.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import { AppError, ERRORS, type ErrorCode } from '../errors.ts';
import type { AccountingSystem } from '../models/connection.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import type { CallbackOutcome } from '../models/pending-grant.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { AuthorizedCallback, CallbackParameters, NewGrant } from '../strategies/accounting-strategy.ts';
import { ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { Clock } from '../utils/clock.ts';
import type { ConnectFailures } from './connect-failures.ts';
import type { GrantReceiver } from './grant-receiver.ts';
import { providerError, providerUnavailable, toAppError } from './provider-errors.ts';
import { pollMs } from './refresh-policy.ts';

/** What the frontend receives. `isRepeated`: the browser sent the state again, and gets the outcome of its first request. */
export type CallbackResult = { isRepeated: boolean } & (
  | { kind: 'connected' }
  | { kind: 'pending'; confirmation: string }
  | { kind: 'declined'; error: string }
);

interface Dependencies {
  strategies: StrategyRegistry;
  states: OAuthStates;
  consumedStates: OAuthStateDatastore;
  confirmations: Confirmations;
  failures: ConnectFailures;
  receiver: GrantReceiver;
  clock: Clock;
  logger: Logger;
  /** Where users start; absent if it is not known. */
  frontendUrl: string | undefined;
}

/** The provider's redirect, from its parameters to the outcome. */
export class CallbackFlow {
  private readonly strategies: StrategyRegistry;
  private readonly states: OAuthStates;
  private readonly consumedStates: OAuthStateDatastore;
  private readonly confirmations: Confirmations;
  private readonly failures: ConnectFailures;
  private readonly receiver: GrantReceiver;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly frontendUrl: string | undefined;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.states = dependencies.states;
    this.consumedStates = dependencies.consumedStates;
    this.confirmations = dependencies.confirmations;
    this.failures = dependencies.failures;
    this.receiver = dependencies.receiver;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.frontendUrl = dependencies.frontendUrl;
  }

  /** Reads the redirect's query. Consumes nothing. @throws AppError `invalid_request` */
  async parse(system: AccountingSystem, query: object): Promise<CallbackParameters> {
    try {
      return this.strategies.get(system).parseCallback(query);
    } catch (error) {
      const { state } = query as { state?: unknown };
      await this.failures.record(this.states.read(state, system), error);
      if (state !== undefined || !this.frontendUrl) throw error;
      // The provider's own store starts connections without a state.
      throw new AppError('invalid_request', { detail: `state is required. Please start from ${this.frontendUrl}` });
    }
  }

  /**
   * Completes a flow. The state is consumed before anything is sent to the provider, so that the code is exchanged no
   * more than once, and not at all while the database is unavailable. @throws AppError
   */
  async complete(
    system: AccountingSystem,
    parameters: CallbackParameters,
    browserSecret: string | undefined,
  ): Promise<CallbackResult> {
    const state = await this.verify(system, parameters.state, browserSecret);
    const isFirst = await this.consumedStates.consume(state.id, state.expiresAt);
    const outcome = isFirst ? await this.proceed(state, parameters) : await this.waitForOutcome(state);
    return this.toResult(state, outcome, !isFirst);
  }

  private async verify(system: AccountingSystem, text: string, browserSecret: string | undefined): Promise<OAuthState> {
    try {
      return this.states.verify(text, { system, browserSecret });
    } catch (error) {
      await this.failures.record(this.states.read(text, system), error);
      throw error;
    }
  }

  /** Returns undefined if the grant was received and will be completed in the background. */
  private async proceed(state: OAuthState, parameters: CallbackParameters): Promise<CallbackOutcome | undefined> {
    try {
      if ('error' in parameters) return await this.recordDecline(state, parameters.error);
      if (state.link && (await this.consumedStates.isConsumed(state.link))) throw linkRejected();
      return await this.receiver.receive(state, () => this.exchangeCode(state, parameters));
    } catch (error) {
      await this.failures.end(state, error);
      throw error;
    }
  }

  private async recordDecline(state: OAuthState, error: string): Promise<CallbackOutcome> {
    const reason = AUTHORIZATION_ERRORS.find((known) => known === error) ?? 'server_error';
    const { organizationId, system, actor } = state;
    const event: ConnectionEvent = { organizationId, system, type: 'consent_refused', reason, actor };
    const outcome = { kind: 'declined', error: reason } as const;
    if (await this.consumedStates.end(state.id, outcome, event)) logEvent(this.logger, event);
    if (reason !== error) {
      const logged = UNKNOWN_ERROR.test(error) ? error : 'unrecognized';
      const facts = { event: 'connect.unknown_error', organization_id: organizationId, reason: logged };
      this.logger.warn(facts, 'connect.unknown_error');
    }
    return outcome;
  }

  private async exchangeCode({ organizationId, system }: OAuthState, callback: AuthorizedCallback): Promise<NewGrant> {
    const strategy = this.strategies.get(system);
    try {
      return await strategy.exchangeCode(callback);
    } catch (error) {
      if (error instanceof ProviderError) {
        const level = error.failure === 'application_rejected' ? 'error' : 'warn';
        const event = 'connect.code_not_exchanged';
        const context = { organization_id: organizationId, realm_id: callback.realmId };
        this.logger[level]({ event, ...context, ...error.toLog() }, event);
      }
      throw toAppError(error, strategy, 'authorization_code_rejected');
    }
  }

  /** Waits, no longer than one call to the provider may take. @throws AppError `provider_unavailable` */
  private async waitForOutcome({ id, system }: OAuthState): Promise<CallbackOutcome> {
    const strategy = this.strategies.get(system);
    const deadline = this.clock.monotonicMs() + strategy.profile.timeoutMs;
    for (let round = 1; ; round += 1) {
      const outcome = await this.consumedStates.findOutcome(id);
      if (outcome) return outcome;
      if (this.clock.monotonicMs() >= deadline) throw providerUnavailable(strategy);
      await this.clock.sleep(pollMs(round, this.clock));
    }
  }

  private toResult(state: OAuthState, outcome: CallbackOutcome | undefined, isRepeated: boolean): CallbackResult {
    switch (outcome?.kind) {
      case 'connected':
      case 'declined':
        return { ...outcome, isRepeated };
      case 'pending':
        return { kind: 'pending', confirmation: this.confirmations.issue(state, outcome.tokenId), isRepeated };
      case 'failed':
        throw this.toError(state, outcome.code);
      case undefined:
        throw new AppError('service_unavailable', {
          detail: 'The connection was received and will be completed shortly: do not connect again, check the status.',
          retryAfterSeconds: 5,
        });
    }
  }

  private toError({ system }: OAuthState, code: ErrorCode): AppError {
    const strategy = this.strategies.get(system);
    if (code === 'unauthorized') return linkRejected();
    if (code === 'provider_error') return providerError(strategy);
    if (code === 'provider_unavailable') return providerUnavailable(strategy);
    return new AppError(code, ERRORS[code].status === 503 ? { retryAfterSeconds: 5 } : {});
  }
}

/** The form of an error code. Any other text of the query could be a secret, and is not logged. */
const UNKNOWN_ERROR = /^[a-z_]{1,40}$/;

/** RFC 6749 §4.1.2.1. */
const AUTHORIZATION_ERRORS = [
  'invalid_request',
  'unauthorized_client',
  'access_denied',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
] as const;
