import type { MaintenanceDatastore } from '../datastores/maintenance-datastore.ts';
import { hasCode } from '../errors.ts';
import type { ActiveConnection } from '../models/connection.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import { isProviderError, ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { Clock } from '../utils/clock.ts';
import type { CompanyLimiter } from './gateway/company-limiter.ts';
import { isProviderDown } from './refresh-result.ts';
import type { TokenManager } from './token-manager.ts';

/**
 * How the verification of a connection's company ended.
 * - `verified`: the provider confirmed the company.
 * - `denied`: the provider denies access to it; the connection remains, since its grant is alive.
 * - `ended`: the same, for a connection that was never proven: it has ended.
 * - `provider_down`: the provider could not confirm or deny it.
 * - `rate_limited`: this service did not ask for the company, because of the limits of calls to it.
 * - `not_refreshed`: the provider rejected the access token of an unproven connection. It could not be refreshed, for a reason
 *   that concerns this connection alone: it is lost or replaced, or the provider rejects the request itself.
 */
export type CompanyVerification = 'verified' | 'denied' | 'ended' | 'provider_down' | 'rate_limited' | 'not_refreshed';

interface Dependencies {
  strategies: StrategyRegistry;
  connections: MaintenanceDatastore;
  tokenManager: TokenManager;
  /** Absent if the calls are not limited. */
  companyLimiter?: CompanyLimiter | undefined;
  clock: Clock;
  logger: Logger;
}

/** Reads a connection's company again: a name that changed, or the proof of a connection that is unproven. */
export class ConnectionVerifier {
  private readonly strategies: StrategyRegistry;
  private readonly connections: MaintenanceDatastore;
  private readonly tokenManager: TokenManager;
  private readonly companyLimiter: CompanyLimiter | undefined;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor({ strategies, connections, tokenManager, companyLimiter, clock, logger }: Dependencies) {
    this.strategies = strategies;
    this.connections = connections;
    this.tokenManager = tokenManager;
    this.companyLimiter = companyLimiter;
    this.clock = clock;
    this.logger = logger;
  }

  /**
   * Verifies with the access token as it is. A connection whose token is rejected is refreshed and verified once more: its
   * grant may have ended, or its company may be right.
   * @param endsUnproven decides whether a denial ends an unproven connection
   */
  async verifyCompany(
    connection: ActiveConnection,
    endsUnproven: (denial: ProviderError) => boolean = () => true,
  ): Promise<CompanyVerification> {
    let verified = connection;
    let outcome = await this.readCompany(connection);
    if (isTokenRejected(outcome)) {
      const refreshed = await this.tokenManager.refresh(connection);
      if (refreshed.outcome === 'deferred') return 'provider_down';
      if (refreshed.outcome === 'failed') return isProviderDown(refreshed.error) ? 'provider_down' : 'not_refreshed';
      const isRefreshed = refreshed.outcome === 'current' && refreshed.connection.tokenId === connection.tokenId;
      if (!isRefreshed) return 'not_refreshed';
      verified = refreshed.connection;
      outcome = await this.readCompany(verified);
    }
    return outcome instanceof ProviderError ? this.deny(verified, outcome, endsUnproven(outcome)) : outcome;
  }

  /** Returns the provider's error if it denies the company. */
  private async readCompany(
    connection: ActiveConnection,
  ): Promise<'verified' | 'provider_down' | 'rate_limited' | ProviderError> {
    const { accessToken } = this.tokenManager.open(connection);
    const strategy = this.strategies.get(connection.system);
    try {
      await this.companyLimiter?.acquire(strategy, connection.realmId);
      const { name } = await strategy.readCompany(connection.realmId, accessToken);
      await this.connections.saveCompany(connection, name);
      await this.connections.schedule(connection, this.nextMaintenanceAt(connection, this.clock.now()));
      return 'verified';
    } catch (error) {
      if (hasCode(error, 'rate_limited')) return 'rate_limited';
      if (!isProviderError(error)) throw error;
      if (error.details.status === 429) {
        this.companyLimiter?.pause(strategy, connection.realmId, error.details.retryAfterSeconds);
      }
      return error.failure === 'rejected' ? error : 'provider_down';
    }
  }

  private async deny(
    connection: ActiveConnection,
    error: ProviderError,
    endsUnproven: boolean,
  ): Promise<CompanyVerification> {
    if (!connection.lastVerifiedAt && endsUnproven) {
      const event = await this.connections.endUnproven(connection, error.details.intuitTid);
      if (event) logEvent(this.logger, event);
      return 'ended';
    }
    const { organizationId, realmId } = connection;
    const event = 'maintenance.company_rejected';
    this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, ...error.toLog() }, event);
    if (connection.lastVerifiedAt) {
      const next = this.nextMaintenanceAt(connection, connection.lastVerifiedAt);
      await this.connections.recordDenial(connection, next);
    }
    return 'denied';
  }

  private nextMaintenanceAt(connection: ActiveConnection, lastVerifiedAt: Date): Date {
    const { maintenance } = this.strategies.get(connection.system).profile;
    const now = this.clock.now();
    const read = { ...connection, lastVerifiedAt, maintenance: { ...connection.maintenance, companyReadAt: now } };
    return nextMaintenanceAt(read, now, maintenance);
  }
}

function isTokenRejected(outcome: unknown): boolean {
  return isProviderError(outcome) && outcome.details.status === 401;
}
