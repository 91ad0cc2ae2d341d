import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { RefreshDatastore } from '../datastores/refresh-datastore.ts';
import type {
  ActiveConnection,
  Connection,
  LossReason,
  LostConnection,
  RefreshableConnection,
} from '../models/connection.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics, RefreshMetric } from '../observability/metrics.ts';
import type { ProviderError } from '../strategies/provider-error.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import type { MaintenanceSchedule } from './maintenance-schedule.ts';
import type { RefreshCooldown } from './refresh-cooldown.ts';
import type { Lease, RefreshLeases } from './refresh-leases.ts';
import * as policy from './refresh-policy.ts';
import { DEFERRED, isUnchanged, type RefreshResult, toResult } from './refresh-result.ts';
import type { RefreshSaver } from './refresh-saver.ts';

interface Dependencies {
  tokens: OAuthTokenDatastore;
  refreshes: RefreshDatastore;
  leases: RefreshLeases;
  saver: RefreshSaver;
  schedule: MaintenanceSchedule;
  cooldown: RefreshCooldown;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
}

/** Decides what a provider's error says about a connection: it is lost, or its lease is released and a back-off begins. */
export class RefreshFailures {
  private readonly tokens: OAuthTokenDatastore;
  private readonly refreshes: RefreshDatastore;
  private readonly leases: RefreshLeases;
  private readonly saver: RefreshSaver;
  private readonly schedule: MaintenanceSchedule;
  private readonly cooldown: RefreshCooldown;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: Metrics;

  constructor(dependencies: Dependencies) {
    this.tokens = dependencies.tokens;
    this.refreshes = dependencies.refreshes;
    this.leases = dependencies.leases;
    this.saver = dependencies.saver;
    this.schedule = dependencies.schedule;
    this.cooldown = dependencies.cooldown;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.metrics = dependencies.metrics;
  }

  /** Judges the provider's error. Only the owner of the lease calls this. */
  async handle(connection: RefreshableConnection, lease: Lease, error: ProviderError): Promise<RefreshResult> {
    if (error.details.isTooLate) {
      this.log('warn', 'token.refresh.not_sent', connection, {});
      this.count('not_sent');
      this.leases.abandon(connection, lease.owner);
      return DEFERRED;
    }
    if (connection.state === 'active') {
      return error.failure === 'rejected'
        ? this.handleRejection(connection, lease, error)
        : this.handleFailure(connection, lease, error);
    }
    // Other workers may wait for the lease, to recover the connection as well.
    const failures = connection.refresh.failures + 1;
    await this.releaseLease(connection, lease, { error, backOffMs: this.backOffMs(failures, error), failures });
    return { outcome: 'failed', error };
  }

  /** `invalid_grant`: if the row changed, another refresh explains it; otherwise the grant is lost. */
  private async handleRejection(
    connection: ActiveConnection,
    lease: Lease,
    error: ProviderError,
  ): Promise<RefreshResult> {
    try {
      return await this.recordRejection(connection, error);
    } catch (err) {
      this.leases.abandon(connection, lease.owner); // otherwise the next rejection would be attributed to this call
      throw err;
    }
  }

  private async recordRejection(connection: ActiveConnection, error: ProviderError): Promise<RefreshResult> {
    const found = await this.retryBriefly(() => this.refreshes.findForRefresh(connection));
    const current = await this.saver.restoreNewest(found?.connection);
    if (!current || !isUnchanged(current, connection)) {
      this.count('superseded');
      return toResult(current);
    }
    this.log('warn', 'token.refresh.rejected', connection, error.toLog());
    const reason = connection.refresh.startedAt ? 'rotation_lost' : 'authorization_revoked';
    const lost = await this.markLost(connection, reason, error.details.intuitTid);
    this.count(!lost ? 'superseded' : reason === 'rotation_lost' ? 'rotation_lost' : 'revoked');
    return toResult(lost ?? (await this.tokens.findCurrent(connection)));
  }

  /** Releases the lease after a failure that says nothing about the grant. */
  private async handleFailure(
    connection: ActiveConnection,
    lease: Lease,
    error: ProviderError,
  ): Promise<RefreshResult> {
    const { failure } = error;
    this.count(failure === 'unavailable' ? 'provider_unavailable' : 'provider_error');
    if (failure === 'application_rejected' || failure === 'request_rejected') {
      const key = failure === 'application_rejected' ? connection.system : connection.tokenId;
      this.cooldown.start(key, policy.APPLICATION_COOLDOWN_MS);
      this.log('error', 'token.refresh.service_rejected', connection, error.toLog());
      await this.releaseLease(connection, lease, { error, backOffMs: 0, failures: connection.refresh.failures });
      return { outcome: 'failed', error };
    }
    const failures = connection.refresh.failures + 1;
    const backOffMs = this.backOffMs(failures, error);
    this.log('warn', 'token.refresh.failed', connection, { ...error.toLog(), failures });
    await this.releaseLease(connection, lease, { error, backOffMs, failures });
    return { outcome: 'failed', error, retryAfterSeconds: backOffMs / 1000 };
  }

  /** Milliseconds until any process may send the refresh token again. */
  private backOffMs(failures: number, { details }: ProviderError): number {
    const ownMs = policy.refreshBackOffMs(failures, details.retryAfterSeconds, this.clock);
    // After this service's own timeout the provider may still be processing the call.
    return details.isTimeout ? Math.max(ownMs, policy.SAVE_MS) : ownMs;
  }

  /** If the database is unavailable, the lease is abandoned later, or taken over if the call's outcome is unknown. */
  private async releaseLease(
    connection: RefreshableConnection,
    { owner }: Lease,
    { error, backOffMs, failures }: { error: ProviderError; backOffMs: number; failures: number },
  ): Promise<void> {
    const { intuitTid, isOutcomeUnknown } = error.details;
    const now = this.clock.now();
    const isActive = connection.state === 'active';
    const startedAt = isOutcomeUnknown ? now : connection.refresh.startedAt;
    const failed = {
      startedAt,
      failures,
      backOffMs,
      isFailing: isActive && failures > connection.refresh.failures && !policy.isValid(connection, now),
      intuitTid,
      nextMaintenanceAt: isActive && startedAt ? this.schedule.afterStart(connection) : connection.maintenance.nextAt,
    };
    try {
      this.report(await this.retryBriefly(() => this.refreshes.releaseLease(connection, owner, failed)));
    } catch (err) {
      this.log('warn', 'token.refresh.lease_not_released', connection, { err });
      if (!isOutcomeUnknown) this.leases.abandon(connection, owner);
    }
  }

  /** Marks a connection as lost. Returns undefined if it changed meanwhile, which takes precedence. */
  async markLost(
    connection: ActiveConnection,
    reason: LossReason,
    intuitTid?: string,
  ): Promise<LostConnection | undefined> {
    const lost: LostConnection = {
      ...connection,
      state: 'lost',
      reason,
      lostAt: this.clock.now(),
      maintenance: { ...connection.maintenance, recoveryAttempts: 0 },
    };
    const loss = { reason, intuitTid, nextMaintenanceAt: this.schedule.next(lost) };
    const event = await this.retryBriefly(() => this.tokens.markLost(connection, loss));
    this.report(event);
    return event && lost;
  }

  private retryBriefly<T>(work: () => Promise<T>): Promise<T> {
    return retry(work, { clock: this.clock, timeoutMs: policy.RELEASE_TIMEOUT_MS });
  }

  private report(event: ConnectionEvent | undefined): void {
    if (event) logEvent(this.logger, event);
  }

  private count(outcome: RefreshMetric): void {
    this.metrics.refreshes.inc({ outcome });
  }

  private log(level: 'warn' | 'error', event: string, connection: Connection, facts: object): void {
    const { organizationId, realmId } = connection;
    this.logger[level]({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}
