import { randomUUID } from 'node:crypto';
import { type ConnectLink, linkRefused } from '../auth/connect-links.ts';
import type { OAuthState, OAuthStates } from '../auth/oauth-states.ts';
import type { Fernet } from '../crypto/fernet.ts';
import { seal } from '../crypto/token-cipher.ts';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingRevocation } from '../datastores/pending-revocation-datastore.ts';
import { AppError } from '../errors.ts';
import type { Connection, NewConnection, NewTokenSet } from '../models/connection.ts';
import type { RecordedEvent } from '../models/connection-event.ts';
import type { Logger } from '../observability/logger.ts';
import { type AccountingStrategy, ProviderError } from '../strategies/accounting-strategy.ts';
import type { InFlight } from '../utils/background-tasks.ts';
import { persistently } from '../utils/retry.ts';
import { within } from '../utils/with-timeout.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import { toAppError } from './provider-errors.ts';

/** What the provider's redirect brought back: a code for a company, or the error that stands in its place. */
type CallbackParameters = { state: string } & ({ code: string; realmId: string } | { error: string });

/** How a callback ended that is handed to the frontend. */
type CallbackOutcome = { connected: true } | { connected: false; error: string };

/** One connection's life: connect, callback, status, disconnect. Refresh is the token manager's. */
export class OAuthService {
  constructor(
    private readonly strategy: AccountingStrategy,
    private readonly tokens: OAuthTokenDatastore,
    private readonly events: ConnectionEventDatastore,
    private readonly usedStates: OAuthStateDatastore,
    private readonly states: OAuthStates,
    private readonly fernet: Fernet,
    private readonly revoker: GrantRevoker,
    private readonly inFlight: InFlight,
    private readonly logger: Logger,
    /** How long a new connection waits for a database that went away, and its caller for a revocation, in milliseconds. */
    private readonly patienceMs: number,
  ) {}

  /** Begins a connection: where the browser goes, and the secret that it brings back. */
  connect(organizationId: string, actor: string): { authorizationUrl: string; state: string; browserSecret: string } {
    const { state, browserSecret } = this.states.issue(organizationId, this.strategy.system, actor);
    return { authorizationUrl: this.strategy.authorizationUrl(state), state, browserSecret };
  }

  /** Uses a connect link up. @throws AppError `unauthorized` where it was used before. */
  async spendLink(link: ConnectLink): Promise<void> {
    if (!(await this.usedStates.spend(link.id, link.expiresAt))) throw linkRefused();
  }

  /**
   * Completes a connection. The state is spent before anything reaches the provider: that makes the exchange happen
   * once, and no code is spent while the database is away. It goes on to its end though the browser leaves.
   */
  async callback(parameters: CallbackParameters, browserSecret: string | undefined): Promise<CallbackOutcome> {
    return this.inFlight.track(this.complete(parameters, browserSecret));
  }

  /** The organization's current connection, active or lost. Reads the database alone. */
  async status(organizationId: string): Promise<Connection | undefined> {
    return this.tokens.findCurrent(organizationId, this.strategy.system);
  }

  /** Ends the connection here, then at the provider. Without a connection there is nothing to do. */
  async disconnect(organizationId: string, actor: string): Promise<void> {
    return this.inFlight.track(this.end(organizationId, actor));
  }

  /** The organization's timeline, newest first. @param before a position that it goes on below */
  async listEvents(organizationId: string, most: number, before?: number): Promise<RecordedEvent[]> {
    return this.events.listNewest(organizationId, most, before);
  }

  private async complete(parameters: CallbackParameters, browserSecret: string | undefined): Promise<CallbackOutcome> {
    const state = this.states.verify(parameters.state, browserSecret);
    if (!(await this.usedStates.spend(state.id, state.expiresAt))) {
      throw new AppError('invalid_state', 'This sign-in was already completed. Please start connecting again.');
    }
    if ('error' in parameters) return this.refuse(state, parameters.error);
    await this.revoker.holdBack(parameters.realmId, state.system);
    const tokens = await this.exchangeCode(state, parameters);
    const companyName = await this.verifyCompany(state, parameters.realmId, tokens);
    await this.store(state, parameters.realmId, companyName, tokens);
    return { connected: true };
  }

  private async refuse(state: OAuthState, error: string): Promise<CallbackOutcome> {
    const reason = AUTHORIZATION_ERRORS.find((known) => known === error) ?? 'server_error';
    const { organizationId, system, actor } = state;
    await this.events.record({ organizationId, system, type: 'consent_refused', reason, actor });
    return { connected: false, error: reason };
  }

  private async exchangeCode(
    { organizationId }: OAuthState,
    { code, realmId }: { code: string; realmId: string },
  ): Promise<NewTokenSet> {
    try {
      return await this.strategy.exchangeCode(code);
    } catch (error) {
      if (error instanceof ProviderError) {
        const facts = { organization_id: organizationId, realm_id: realmId, ...error.toLog() };
        this.logger[error.failure === 'misconfigured' ? 'error' : 'warn'](facts, 'code not exchanged');
      }
      throw toAppError(error, {
        code: 'authorization_code_rejected',
        detail: 'QuickBooks did not accept this sign-in. Please start connecting again.',
      });
    }
  }

  /** `realmId` comes unsigned through the browser: only a call for that company with the new token proves it. */
  private async verifyCompany(state: OAuthState, realmId: string, tokens: NewTokenSet): Promise<string | undefined> {
    try {
      return await this.strategy.companyName(realmId, tokens.accessToken);
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      if (error.failure === 'refused') return this.rejectCompany(state, realmId, tokens, error.facts.intuitTid);
      const facts = { organization_id: state.organizationId, realm_id: realmId, ...error.toLog() };
      this.logger.warn(facts, 'company name not read; connecting without it');
      return undefined;
    }
  }

  private async rejectCompany(
    state: OAuthState,
    realmId: string,
    tokens: NewTokenSet,
    intuitTid: string | undefined,
  ): Promise<never> {
    const { organizationId, system, actor } = state;
    // Whose the new tokens are is unknown: the claimed company says nothing about who else needs them.
    await this.revoker.revokeLoose({ system, realmId: '', refreshToken: this.fernet.encrypt(tokens.refreshToken) });
    await this.events.record({ organizationId, system, type: 'company_mismatch', realmId, actor, intuitTid });
    throw new AppError('company_mismatch', 'The sign-in is not for the company that was chosen. Please connect again.');
  }

  private async store(state: OAuthState, realmId: string, companyName: string | undefined, tokens: NewTokenSet) {
    const { organizationId, system, actor } = state;
    const connection: NewConnection = {
      tokenId: randomUUID(),
      organizationId,
      system,
      realmId,
      companyName,
      ...seal(this.fernet, tokens),
    };
    const revocation = await persistently(() => this.tokens.replaceActive(connection, actor), this.patienceMs);
    if (revocation) await this.tryRevocation(revocation);
  }

  private async end(organizationId: string, actor: string): Promise<void> {
    const revocation = await this.tokens.disconnect(organizationId, this.strategy.system, actor);
    if (revocation) await this.tryRevocation(revocation);
  }

  /** No longer than one call may take: the database can hang as well as the provider, and the worker tries again. */
  private async tryRevocation(revocation: PendingRevocation): Promise<void> {
    const attempt = this.inFlight.track(this.revoker.revoke(revocation));
    await within(this.patienceMs, attempt, () => new Error('late')).catch(() => undefined);
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
