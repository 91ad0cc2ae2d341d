import type { MaintenanceDatastore } from '../datastores/maintenance-datastore.ts';
import { hasCode } from '../errors.ts';
import type { ActiveConnection, Connection, LostConnection } from '../models/connection.ts';
import * as maintenance from '../models/maintenance.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { ConnectionVerifier } from '../services/connection-verifier.ts';
import { isUsable } from '../services/refresh-policy.ts';
import { isProviderDown, type RefreshResult } from '../services/refresh-result.ts';
import type { TokenManager } from '../services/token-manager.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, earliestNow, fromNow } from '../utils/clock.ts';
import type { Job, JobOutcome } from './job.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How long a worker has a connection for itself; also when a connection is retried whose provider is down. */
const CLAIM_MS = 10 * MINUTE_MS;
/** When a connection is retried whose maintenance failed by an internal fault. */
const FAULT_RETRY_MS = 6 * 60 * MINUTE_MS;

interface Dependencies {
  strategies: StrategyRegistry;
  connections: MaintenanceDatastore;
  tokenManager: TokenManager;
  verifier: ConnectionVerifier;
  clock: Clock;
  logger: Logger;
  pauseMs: number;
}

/** Keeps connections alive, notifies before their authorization ends, reads company names, and recovers lost connections. */
export class MaintenanceJob implements Job<Connection> {
  readonly name = 'maintenance';
  readonly concurrency = 1;
  readonly intervalMs = 5_000;
  readonly pauseMs: number;
  private readonly strategies: StrategyRegistry;
  private readonly connections: MaintenanceDatastore;
  private readonly tokenManager: TokenManager;
  private readonly verifier: ConnectionVerifier;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.connections = dependencies.connections;
    this.tokenManager = dependencies.tokenManager;
    this.verifier = dependencies.verifier;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.pauseMs = dependencies.pauseMs;
  }

  async listDue(limit: number): Promise<Connection[]> {
    return this.connections.listDue(this.strategies.systems(), limit);
  }

  async claim(connection: Connection): Promise<Connection | undefined> {
    return this.connections.claim(connection, fromNow(this.clock, CLAIM_MS));
  }

  companyOf({ realmId }: Connection): string {
    return realmId;
  }

  /** An internal fault concerns one connection: the others are maintained all the same. */
  async run(connection: Connection): Promise<JobOutcome> {
    try {
      return await (connection.state === 'active' ? this.maintain(connection) : this.recoverOrPurge(connection));
    } catch (err) {
      if (hasCode(err, 'service_unavailable')) throw err;
      const { organizationId, tokenId } = connection;
      const event = 'maintenance.failed';
      this.logger.error({ event, organization_id: organizationId, token_id: tokenId, err }, event);
      await this.connections.schedule(connection, fromNow(this.clock, FAULT_RETRY_MS));
      return 'skipped';
    }
  }

  private async maintain(claimed: ActiveConnection): Promise<JobOutcome> {
    const policy = this.policyOf(claimed);
    const now = this.clock.now();
    const connection = await this.notifyExpiry(claimed);
    const isVerification = maintenance.needsVerification(connection, now, policy);
    const readsCompany = isVerification || maintenance.needsCompanyName(connection, now, policy);
    const needsNewToken = readsCompany && !isUsable(connection, now);
    // An unproven connection waits for its company, not for a refresh: its token is new.
    const isVerifiedByRefresh = isVerification && connection.lastVerifiedAt !== undefined;
    if (maintenance.needsKeepAlive(connection, now, policy) || needsNewToken || isVerifiedByRefresh) {
      const result = await this.tokenManager.refresh(connection);
      if (result.outcome !== 'current' || !readsCompany) return toJobOutcome(result);
      const outcome = await this.verifyCompany(result.connection);
      return outcome === 'skipped' ? 'done' : outcome; // the refresh called the provider
    }
    if (readsCompany) return this.verifyCompany(connection);
    await this.schedule(connection);
    return 'skipped';
  }

  private async notifyExpiry(connection: ActiveConnection): Promise<ActiveConnection> {
    const now = this.clock.now();
    const noticeMs = maintenance.dueExpiryNotice(connection, now, this.policyOf(connection));
    if (noticeMs === undefined) return connection;
    const event = await this.connections.recordExpiryNotice(connection, `within_${noticeMs / DAY_MS}_days`);
    if (event) logEvent(this.logger, event);
    return { ...connection, maintenance: { ...connection.maintenance, expiryNotifiedAt: now } };
  }

  private async verifyCompany(connection: ActiveConnection): Promise<JobOutcome> {
    switch (await this.verifier.verifyCompany(connection)) {
      case 'provider_down':
        return 'provider_down';
      case 'rate_limited':
        return 'skipped';
      default:
        return 'done';
    }
  }

  private async recoverOrPurge(lost: LostConnection): Promise<JobOutcome> {
    const now = earliestNow(this.clock);
    if (maintenance.purgeAt(lost) <= now) {
      await this.connections.purgeTokens(lost);
      return 'skipped';
    }
    if (!maintenance.isRecoverable(lost, now)) {
      await this.connections.schedule(lost, maintenance.nextPurgeAt(lost, this.clock.now()));
      return 'skipped';
    }
    const result = await this.tokenManager.recover(lost);
    if (result.outcome !== 'failed' || result.error.failure !== 'rejected') return toJobOutcome(result);
    await this.recordRecoveryAttempt(lost);
    return 'done';
  }

  private async recordRecoveryAttempt(lost: LostConnection): Promise<void> {
    const recoveryAttempts = lost.maintenance.recoveryAttempts + 1;
    const attempted = { ...lost, maintenance: { ...lost.maintenance, recoveryAttempts } };
    const next = maintenance.nextMaintenanceAt(attempted, this.clock.now(), this.policyOf(lost));
    await this.connections.recordRecoveryAttempt(lost, { recoveryAttempts, nextMaintenanceAt: next });
  }

  private async schedule(connection: ActiveConnection): Promise<void> {
    const next = maintenance.nextMaintenanceAt(connection, this.clock.now(), this.policyOf(connection));
    await this.connections.schedule(connection, next);
  }

  private policyOf({ system }: Connection): maintenance.MaintenancePolicy {
    return this.strategies.get(system).profile.maintenance;
  }
}

/** A connection that was not refreshed remains claimed, and is due again when its claim ends. */
function toJobOutcome(result: RefreshResult): JobOutcome {
  switch (result.outcome) {
    case 'current':
    case 'ended':
      return 'done';
    case 'deferred':
      return 'skipped';
    case 'failed':
      return isProviderDown(result.error) ? 'provider_down' : 'done';
  }
}
