import type { Confirmations } from '../auth/confirmations.ts';
import type { ConnectLink } from '../auth/connect-links.ts';
import { linkRejected } from '../auth/connect-links.ts';
import type { OAuthStates } from '../auth/oauth-states.ts';
import type { ConnectionEventDatastore } from '../datastores/connection-event-datastore.ts';
import type { ConnectionReader } from '../datastores/connection-reader.ts';
import type { MaintenanceDatastore } from '../datastores/maintenance-datastore.ts';
import type { OAuthStateDatastore } from '../datastores/oauth-state-datastore.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, Connection, ConnectionKey, ConnectionStatus, RealmId } from '../models/connection.ts';
import type { RecordedEvent } from '../models/connection-event.ts';
import type { FlowOptions } from '../models/pending-grant.ts';
import type { Logger } from '../observability/logger.ts';
import type { CallbackParameters } from '../strategies/accounting-strategy.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { CallbackFlow, CallbackResult } from './callback-flow.ts';
import type { ConnectionChanges, RevocationAttempt } from './connection-changes.ts';
import type { FailoverRestorer } from './failover-restorer.ts';
import type { GrantCompleter } from './grant-completer.ts';
import type { NewConnectionRestorer } from './new-connection-restorer.ts';
import { RESTORE_MS } from './refresh-policy.ts';

/** What connect returns: where the browser goes, and the secret that it brings back. */
interface StartedFlow {
  authorizationUrl: string;
  state: string;
  browserSecret: string;
}

/** A connection that was ended. */
export interface Disconnection {
  /** How the revocation of its grant ended; undefined if its tokens were deleted before. */
  revocation: RevocationAttempt | undefined;
}

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  reader: ConnectionReader;
  connections: MaintenanceDatastore;
  grants: PendingGrantDatastore;
  events: ConnectionEventDatastore;
  consumedStates: OAuthStateDatastore;
  states: OAuthStates;
  confirmations: Confirmations;
  callbackFlow: CallbackFlow;
  completer: GrantCompleter;
  changes: ConnectionChanges;
  newConnections: NewConnectionRestorer;
  failover: FailoverRestorer;
  backgroundTasks: BackgroundTasks;
  logger: Logger;
}

/** The life of one connection: connect, callback, confirm, status, disconnect. The token manager refreshes it. */
export class OAuthService {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly reader: ConnectionReader;
  private readonly connections: MaintenanceDatastore;
  private readonly grants: PendingGrantDatastore;
  private readonly events: ConnectionEventDatastore;
  private readonly consumedStates: OAuthStateDatastore;
  private readonly states: OAuthStates;
  private readonly confirmations: Confirmations;
  private readonly callbackFlow: CallbackFlow;
  private readonly completer: GrantCompleter;
  private readonly changes: ConnectionChanges;
  private readonly newConnections: NewConnectionRestorer;
  private readonly failover: FailoverRestorer;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly logger: Logger;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.reader = dependencies.reader;
    this.connections = dependencies.connections;
    this.grants = dependencies.grants;
    this.events = dependencies.events;
    this.consumedStates = dependencies.consumedStates;
    this.states = dependencies.states;
    this.confirmations = dependencies.confirmations;
    this.callbackFlow = dependencies.callbackFlow;
    this.completer = dependencies.completer;
    this.changes = dependencies.changes;
    this.newConnections = dependencies.newConnections;
    this.failover = dependencies.failover;
    this.backgroundTasks = dependencies.backgroundTasks;
    this.logger = dependencies.logger;
  }

  /** Starts a connection. */
  connect(key: ConnectionKey, actor: string, options: FlowOptions = {}): StartedFlow {
    const { state, browserSecret } = this.states.issue(key, actor, options);
    return { authorizationUrl: this.strategies.get(key.system).authorizationUrl(state), state, browserSecret };
  }

  /** Starts a connection through a link, which only the stored connection consumes. @param returnUrl if the link has none @throws AppError `unauthorized` */
  async connectByLink(link: ConnectLink, returnUrl?: string): Promise<StartedFlow> {
    if (await this.consumedStates.isConsumed(link)) throw linkRejected();
    const { actor, pinnedRealmId } = link;
    return this.connect(link, actor, { returnUrl: link.returnUrl ?? returnUrl, pinnedRealmId, link });
  }

  /** Reads the query of the provider's redirect. @throws AppError `invalid_request` */
  async parseCallback(system: AccountingSystem, query: object): Promise<CallbackParameters> {
    return this.callbackFlow.parse(system, query);
  }

  /** Completes a connection, or makes it wait for its confirmation. Continues to its end if the browser leaves. @throws AppError */
  async callback(
    system: AccountingSystem,
    parameters: CallbackParameters,
    browserSecret: string | undefined,
  ): Promise<CallbackResult> {
    return this.backgroundTasks.run(this.callbackFlow.complete(system, parameters, browserSecret));
  }

  /** Confirms a connection. Returns it. @throws AppError `invalid_confirmation` */
  async confirm(key: ConnectionKey, confirmation: string, actor: string): Promise<Connection | undefined> {
    const grant = await this.grants.findUnconfirmed(key, this.confirmations.verify(confirmation, key));
    if (!grant) throw new AppError('invalid_confirmation');
    const isConfirmed = await this.backgroundTasks.run(this.completer.confirm(grant, actor));
    if (!isConfirmed) throw new AppError('invalid_confirmation');
    return this.tokens.findCurrent(key);
  }

  /** Returns what callers see of the organization's current connection, active or lost. Reads only the database. */
  async status(key: ConnectionKey): Promise<ConnectionStatus | undefined> {
    return this.reader.readStatus(key);
  }

  /** Ends the connection here, then at the provider. Returns undefined if there is none. */
  async disconnect(key: ConnectionKey, actor: string): Promise<Disconnection | undefined> {
    return this.backgroundTasks.run(this.end(key, actor));
  }

  /** Has the worker verify a company's connections, of which a browser said that the user ended them: a hint, no proof. */
  async requestVerification(system: AccountingSystem, realmId: RealmId): Promise<void> {
    try {
      await this.connections.requestVerification(system, realmId);
    } catch (err) {
      // The browser returns to the frontend in any case; the verification of idle connections follows.
      this.logger.warn({ event: 'verification.not_requested', realm_id: realmId, err }, 'verification.not_requested');
    }
  }

  /** Returns the connection's timeline, newest first. @param before a position that the events precede */
  async listEvents(key: ConnectionKey, limit: number, before?: number): Promise<RecordedEvent[]> {
    return this.events.listNewest(key, limit, before);
  }

  private async end(key: ConnectionKey, actor: string): Promise<Disconnection | undefined> {
    for (const grant of await this.grants.listReceived(key)) await this.completer.abandon(grant); // would be connected later
    const ended = await this.tokens.disconnect(key, actor);
    if (!ended && !this.failover.isRestored) throw notRestoredYet();
    this.newConnections.forget(key, ended?.endedTokenId);
    return ended && { revocation: await this.changes.finish(key.system, ended) };
  }
}

/** After a failover of the database, a process may still store a connection again that the new server lacks. */
function notRestoredYet(): AppError {
  return new AppError('service_unavailable', { retryAfterSeconds: RESTORE_MS / 1_000 });
}
