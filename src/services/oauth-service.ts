import { randomUUID } from 'node:crypto';
import type { ConnectLink } from '../auth/connect-links.ts';
import { linkRejected } from '../auth/connect-links.ts';
import type { OAuthState, OAuthStates } from '../auth/oauth-states.ts';
import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import type { EndedConnection, OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, Connection, ConnectionKey, NewConnection } from '../models/connection.ts';
import type { ConnectionEvent, RecordedEvent } from '../models/connection-event.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { AuthorizedCallback, CallbackParameters, NewGrant } from '../strategies/accounting-strategy.ts';
import { ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import { toAppError } from './provider-errors.ts';
import { limitToAuthorization } from './refresh-saver.ts';

/** How a callback ended, for the frontend. */
export type CallbackOutcome = { connected: true } | { connected: false; error: string };

/** What connect returns: where the browser goes, and the secret that it brings back. */
interface StartedFlow {
  authorizationUrl: string;
  state: string;
  browserSecret: string;
}

/** A company that a new grant gives access to; unproven if the provider could not confirm it. */
type CompanyCheck = { isProven: true; name: string | undefined } | { isProven: false };

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  events: ConnectionEventDatastore;
  consumedStates: OAuthStateDatastore;
  states: OAuthStates;
  cipher: TokenCipher;
  revoker: GrantRevoker;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/** The life of one connection: connect, callback, status, disconnect. The token manager refreshes it. */
export class OAuthService {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly events: ConnectionEventDatastore;
  private readonly consumedStates: OAuthStateDatastore;
  private readonly states: OAuthStates;
  private readonly cipher: TokenCipher;
  private readonly revoker: GrantRevoker;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.events = dependencies.events;
    this.consumedStates = dependencies.consumedStates;
    this.states = dependencies.states;
    this.cipher = dependencies.cipher;
    this.revoker = dependencies.revoker;
    this.backgroundTasks = dependencies.backgroundTasks;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
  }

  /** Starts a connection. */
  connect(key: ConnectionKey, actor: string): StartedFlow {
    const { state, browserSecret } = this.states.issue(key, actor);
    return { authorizationUrl: this.strategies.get(key.system).authorizationUrl(state), state, browserSecret };
  }

  /** Consumes a connect link. @throws AppError `unauthorized` if it was consumed before. */
  async consumeLink(link: ConnectLink): Promise<void> {
    if (!(await this.consumedStates.consume(link.id, link.expiresAt))) throw linkRejected();
  }

  /**
   * Completes a connection. The state is consumed before anything is sent to the provider: so the code is exchanged
   * once, and not at all while the database is unavailable. Continues to its end if the browser leaves.
   * @throws AppError
   */
  async callback(
    system: AccountingSystem,
    parameters: CallbackParameters,
    browserSecret: string | undefined,
  ): Promise<CallbackOutcome> {
    return this.backgroundTasks.run(this.complete(system, parameters, browserSecret));
  }

  /** Returns the organization's current connection, active or lost. Reads only the database. */
  async status(key: ConnectionKey): Promise<Connection | undefined> {
    return this.tokens.readCurrent(key);
  }

  /** Ends the connection here, then at the provider. Does nothing if there is none. */
  async disconnect(key: ConnectionKey, actor: string): Promise<void> {
    return this.backgroundTasks.run(this.end(key, actor));
  }

  /** Returns the connection's timeline, newest first. @param before a position that the events precede */
  async listEvents(key: ConnectionKey, limit: number, before?: number): Promise<RecordedEvent[]> {
    return this.events.listNewest(key, limit, before);
  }

  private async complete(
    system: AccountingSystem,
    parameters: CallbackParameters,
    browserSecret: string | undefined,
  ): Promise<CallbackOutcome> {
    const state = this.states.verify(parameters.state, { system, browserSecret });
    if (!(await this.consumedStates.consume(state.id, state.expiresAt))) throw new AppError('invalid_state');
    if ('error' in parameters) return this.recordDecline(state, parameters.error);
    const grant = await this.exchangeCode(state, parameters);
    const company = await this.verifyCompany(state, grant);
    await this.store(state, grant, company);
    return { connected: true };
  }

  private async recordDecline(state: OAuthState, error: string): Promise<CallbackOutcome> {
    const reason = AUTHORIZATION_ERRORS.find((known) => known === error) ?? 'server_error';
    const { organizationId, system, actor } = state;
    await this.record({ organizationId, system, type: 'consent_refused', reason, actor });
    return { connected: false, error: reason };
  }

  private async exchangeCode({ organizationId, system }: OAuthState, callback: AuthorizedCallback): Promise<NewGrant> {
    const strategy = this.strategies.get(system);
    try {
      return await strategy.exchangeCode(callback);
    } catch (error) {
      if (error instanceof ProviderError) {
        const level = error.failure === 'application_rejected' ? 'error' : 'warn';
        const context = { organization_id: organizationId, realm_id: callback.realmId };
        this.logger[level](
          { event: 'connect.code_not_exchanged', ...context, ...error.toLog() },
          'connect.code_not_exchanged',
        );
      }
      throw toAppError(error, strategy, 'authorization_code_rejected');
    }
  }

  /** The callback names the company unsigned, through the browser: only a call with the new token proves it. */
  private async verifyCompany(state: OAuthState, { realmId, tokens }: NewGrant): Promise<CompanyCheck> {
    const { organizationId, system, actor } = state;
    try {
      const { name } = await this.strategies.get(system).readCompany(realmId, tokens.accessToken);
      return { isProven: true, name };
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      const context = { organization_id: organizationId, realm_id: realmId, ...error.toLog() };
      if (error.failure === 'unavailable') {
        this.logger.warn({ event: 'connect.company_unproven', ...context }, 'connect.company_unproven');
        return { isProven: false };
      }
      this.logger.warn({ event: 'connect.company_mismatch', ...context }, 'connect.company_mismatch');
      // Nothing is revoked: whose grant this is, and who else uses it, is unknown.
      const { intuitTid } = error.details;
      await this.record({ organizationId, system, type: 'company_mismatch', realmId, actor, intuitTid });
      throw new AppError('company_mismatch');
    }
  }

  private async store(state: OAuthState, grant: NewGrant, company: CompanyCheck): Promise<void> {
    const { organizationId, system, actor } = state;
    const { profile } = this.strategies.get(system);
    const owner = { tokenId: randomUUID(), organizationId, system, realmId: grant.realmId };
    const connection: NewConnection = {
      ...owner,
      companyName: company.isProven ? company.name : undefined,
      lastVerifiedAt: company.isProven ? this.clock.now() : undefined,
      tokens: this.cipher.encryptTokens(owner, limitToAuthorization(grant.tokens)),
      intuitTid: grant.tokens.intuitTid,
    };
    const schedule = nextMaintenanceAt({ ...connection, state: 'active' }, this.clock.now(), profile.maintenance);
    const ended = await retry(
      async () => {
        if (company.isProven) await this.revoker.deferCompany(system, grant.realmId);
        return this.tokens.replaceCurrent(connection, { actor, nextMaintenanceAt: schedule });
      },
      { clock: this.clock, timeoutMs: profile.timeoutMs },
    );
    await this.finishChange(system, ended);
  }

  private async end(key: ConnectionKey, actor: string): Promise<void> {
    await this.finishChange(key.system, await this.tokens.disconnect(key, actor));
  }

  /** Reports a change, and attempts its revocation for no longer than one call may take: the worker tries again. */
  private async finishChange(system: AccountingSystem, ended: EndedConnection | undefined): Promise<void> {
    if (!ended) return;
    logEvent(this.logger, ended.event);
    if (!ended.revocation) return;
    const attempt = this.backgroundTasks.run(this.revoker.revoke(ended.revocation));
    const { timeoutMs } = this.strategies.get(system).profile;
    const onTimeout = () => new Error('the revocation continues in the background');
    await withTimeout(attempt, { clock: this.clock, timeoutMs, onTimeout }).catch(() => undefined);
  }

  private async record(event: ConnectionEvent): Promise<void> {
    await this.events.record(event);
    logEvent(this.logger, event);
  }
}

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
