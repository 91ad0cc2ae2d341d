import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { ConnectionReader } from '../datastores/connection-reader.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import { hasCode } from '../errors.ts';
import type { ActiveConnection, Connection, ConnectionKey, LostConnection, PlainToken } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import {
  connectionNotFound,
  providerError,
  providerUnavailable,
  reauthorizationRequired,
  toAppError,
} from './provider-errors.ts';
import type { RefreshCooldown } from './refresh-cooldown.ts';
import * as policy from './refresh-policy.ts';
import { isUnchanged, type RefreshResult } from './refresh-result.ts';
import type { TokenRefresher } from './token-refresher.ts';

/** A connection, and its access token in plain text. */
export interface OpenConnection {
  connection: ActiveConnection;
  accessToken: PlainToken;
}

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  reader: ConnectionReader;
  cipher: TokenCipher;
  refresher: TokenRefresher;
  cooldown: RefreshCooldown;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/** Returns access tokens that work. In one process all callers of a connection share one refresh. */
export class TokenManager {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly reader: ConnectionReader;
  private readonly cipher: TokenCipher;
  private readonly refresher: TokenRefresher;
  private readonly cooldown: RefreshCooldown;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly flights = new SingleFlight<RefreshResult>();

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.reader = dependencies.reader;
    this.cipher = dependencies.cipher;
    this.refresher = dependencies.refresher;
    this.cooldown = dependencies.cooldown;
    this.backgroundTasks = dependencies.backgroundTasks;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
  }

  /**
   * Returns an access token for the organization's company. Fresh: as it is. Ageing: as it is, refreshed in the
   * background. Expired: refreshed first.
   * @throws AppError `connection_not_found`, `reauthorization_required`, `provider_unavailable`, `provider_error`
   */
  async accessToken(key: ConnectionKey): Promise<OpenConnection> {
    const connection = this.activeOrThrow(key, await this.reader.readConnection(key));
    if (policy.isFresh(connection, this.clock.now())) return this.open(connection);
    const refreshed = this.refreshOrThrow(connection);
    refreshed.catch(() => undefined); // reported by the flight, and below to the callers that wait
    if (policy.isUsable(connection, this.clock.now())) return this.open(connection);
    if (policy.isValid(connection, this.clock.now())) {
      try {
        return this.open(await this.wait(key, refreshed, policy.VALID_TOKEN_WAIT_MS));
      } catch (error) {
        if (hasCode(error, 'connection_not_found', 'reauthorization_required')) throw error;
        if (policy.isValid(connection, this.clock.now())) return this.open(connection);
      }
    }
    return this.open(await this.wait(key, refreshed));
  }

  /**
   * Returns an access token as `accessToken` does, but an ageing one only if it cannot be refreshed. @throws as `accessToken`
   */
  async freshAccessToken(key: ConnectionKey): Promise<OpenConnection> {
    const opened = await this.accessToken(key);
    if (policy.isFresh(opened.connection, this.clock.now())) return opened;
    try {
      return this.open(await this.wait(key, this.refreshOrThrow(opened.connection)));
    } catch (error) {
      if (hasCode(error, 'connection_not_found', 'reauthorization_required')) throw error;
      if (policy.isUsable(opened.connection, this.clock.now())) return opened;
      throw error;
    }
  }

  /** Returns a token in place of one that the provider rejected, unless it was refreshed meanwhile. @throws as `accessToken` */
  async replaceRejected(rejected: ActiveConnection): Promise<OpenConnection> {
    const connection = this.activeOrThrow(rejected, await this.tokens.findCurrent(rejected));
    if (!isUnchanged(connection, rejected)) return this.open(connection);
    return this.open(await this.wait(connection, this.refreshOrThrow(connection)));
  }

  /** Decrypts the connection's access token, valid or not. */
  open(connection: ActiveConnection): OpenConnection {
    return { connection, accessToken: this.cipher.decryptAccessToken(connection, connection.tokens) };
  }

  /** Records that the provider rejects this connection's tokens although they are new: another refresh would not help. */
  coolDown({ tokenId }: ActiveConnection): void {
    this.cooldown.start(tokenId, policy.REJECTED_TOKEN_COOLDOWN_MS);
  }

  /** Refreshes the connection, however much time its token has left. */
  async refresh(connection: ActiveConnection): Promise<RefreshResult> {
    return this.flights.run(connection.tokenId, () => this.backgroundTasks.run(this.runRefresh(connection)));
  }

  /** Retries a lost connection. */
  async recover(lost: LostConnection): Promise<RefreshResult> {
    return this.backgroundTasks.run(this.refresher.recover(lost));
  }

  /** From now on no refresh begins. */
  stop(): void {
    this.refresher.stop();
  }

  /** Reports an internal fault, which a caller whose token is still valid would never see. */
  private async runRefresh(connection: ActiveConnection): Promise<RefreshResult> {
    try {
      return await this.refresher.refresh(connection);
    } catch (err) {
      if (!hasCode(err, 'service_unavailable')) {
        const { organizationId, realmId } = connection;
        const event = 'token.refresh.internal_error';
        this.logger.error({ event, organization_id: organizationId, realm_id: realmId, err }, event);
      }
      throw err;
    }
  }

  private async refreshOrThrow(connection: ActiveConnection): Promise<ActiveConnection> {
    const result = await this.refresh(connection);
    const strategy = this.strategies.get(connection.system);
    switch (result.outcome) {
      case 'current':
        return result.connection;
      case 'ended':
        return this.activeOrThrow(connection, result.connection);
      case 'deferred':
        throw result.cause === 'provider_error'
          ? providerError(strategy)
          : providerUnavailable(strategy, result.retryAfterSeconds);
      case 'failed':
        throw result.error.failure === 'unavailable'
          ? providerUnavailable(strategy, result.retryAfterSeconds)
          : toAppError(result.error, strategy, 'reauthorization_required');
    }
  }

  /** @param timeoutMs by default: as long as a caller may wait for a refresh */
  private wait(
    { system }: ConnectionKey,
    refreshed: Promise<ActiveConnection>,
    timeoutMs?: number,
  ): Promise<ActiveConnection> {
    const strategy = this.strategies.get(system);
    return withTimeout(refreshed, {
      clock: this.clock,
      timeoutMs: timeoutMs ?? policy.MAX_WAIT_TIMEOUTS * strategy.profile.timeoutMs,
      onTimeout: () => providerUnavailable(strategy),
    });
  }

  private activeOrThrow({ system }: ConnectionKey, connection: Connection | undefined): ActiveConnection {
    const strategy = this.strategies.get(system);
    if (!connection) throw connectionNotFound(strategy);
    if (connection.state === 'lost') throw reauthorizationRequired(strategy);
    return connection;
  }
}
