import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type {
  ActiveConnection,
  Connection,
  LossReason,
  LostConnection,
  PlainToken,
  RefreshableConnection,
  TokenSet,
} from '../models/connection.ts';
import type { ConnectionEvent } from '../models/connection-event.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics, RefreshMetric } from '../observability/metrics.ts';
import { isProviderError, type ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { Clock } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import type { RefreshCooldown } from './refresh-cooldown.ts';
import type { Lease, RefreshLeases } from './refresh-leases.ts';
import * as policy from './refresh-policy.ts';
import type { RefreshSaver } from './refresh-saver.ts';

/**
 * How a refresh ended.
 * - `current`: the connection has new tokens, from this process or another one.
 * - `deferred`: the provider was not called; a retry makes sense after `retryAfterSeconds`.
 * - `failed`: the provider was called and failed; the connection is unchanged.
 * - `ended`: the connection is lost, disconnected or replaced.
 */
export type RefreshResult =
  | { outcome: 'current'; connection: ActiveConnection }
  | { outcome: 'deferred'; cause: 'provider_unavailable' | 'provider_error'; retryAfterSeconds?: number }
  | { outcome: 'failed'; error: ProviderError; retryAfterSeconds?: number }
  | { outcome: 'ended'; connection: Connection | undefined };

const DEFERRED = { outcome: 'deferred', cause: 'provider_unavailable' } as const;

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  cipher: TokenCipher;
  leases: RefreshLeases;
  saver: RefreshSaver;
  cooldown: RefreshCooldown;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
}

/** Refreshes one connection's tokens: acquires the lease, calls the provider once, and saves or judges its response. */
export class TokenRefresher {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly cipher: TokenCipher;
  private readonly leases: RefreshLeases;
  private readonly saver: RefreshSaver;
  private readonly cooldown: RefreshCooldown;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: Metrics;
  private isStopping = false;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.cipher = dependencies.cipher;
    this.leases = dependencies.leases;
    this.saver = dependencies.saver;
    this.cooldown = dependencies.cooldown;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
    this.metrics = dependencies.metrics;
  }

  /** From now on no refresh begins: one that the end of the process interrupts loses a connection. */
  stop(): void {
    this.isStopping = true;
  }

  /** Waits until the connection is refreshed, by the process that holds its lease or by this one once it has acquired it. */
  async refresh(seen: ActiveConnection): Promise<RefreshResult> {
    return this.run(seen, (current, backOffMs) => this.failFast(current, backOffMs));
  }

  /** Sends a lost connection's refresh token once more. If the provider accepts it, the connection is active again. */
  async recover(lost: LostConnection): Promise<RefreshResult> {
    if (!lost.tokens) return DEFERRED;
    const refreshable = { ...lost, tokens: lost.tokens };
    return this.run(refreshable, async ({ system }) =>
      this.isStopping || this.cooldown.isActive(system) ? DEFERRED : undefined,
    );
  }

  /** @param check returns the result if the provider is not to be called */
  private async run<T extends RefreshableConnection>(
    seen: T,
    check: (current: T, backOffMs: number) => Promise<RefreshResult | undefined>,
  ): Promise<RefreshResult> {
    const stopTimer = this.metrics.leaseWait.startTimer();
    const leaseMs = this.leaseMs(seen);
    const deadline = this.clock.monotonicMs() + leaseMs + policy.TAKEOVER_PAUSE_MS + policy.SAVE_MS;
    for (let round = 1; this.clock.monotonicMs() < deadline; round += 1) {
      const found = await this.tokens.findForRefresh(seen);
      const current = await this.saver.restoreNewest(found?.connection);
      if (!found || !current || !isUnchanged(current, seen)) {
        stopTimer();
        return toResult(current);
      }
      const connection = { ...current, tokens: current.tokens ?? seen.tokens } as T; // the generation includes the state
      const failed = await check(connection, found.backOffMs);
      if (failed) return failed;
      const refreshToken = this.cipher.decryptRefreshToken(connection, connection.tokens);
      const lease = await this.leases.tryAcquire({
        connection,
        leaseMs,
        nextMaintenanceAt: this.nextDuring(connection),
      });
      if (lease) {
        stopTimer();
        return this.exchange(connection, refreshToken, lease);
      }
      await this.clock.sleep(policy.pollMs(round, this.clock));
    }
    return DEFERRED;
  }

  /** When the worker looks at a connection whose refresh is never heard of again. */
  private nextDuring(connection: RefreshableConnection): Date {
    if (connection.state === 'active') return this.nextMaintenanceAt(started(connection, this.clock));
    return connection.maintenance.nextAt ?? this.nextMaintenanceAt(connection);
  }

  /** Avoids a call that must fail, or that the provider asked not to receive yet. */
  private async failFast(connection: ActiveConnection, backOffMs: number): Promise<RefreshResult | undefined> {
    if (policy.isRefreshTokenExpired(connection, this.clock.now())) {
      const lost = await this.markLost(connection, 'refresh_token_expired');
      if (lost) return { outcome: 'ended', connection: lost };
    }
    if (this.cooldown.isActive(connection.system) || this.cooldown.isActive(connection.tokenId)) {
      return { outcome: 'deferred', cause: 'provider_error' };
    }
    if (backOffMs > 0) return { ...DEFERRED, retryAfterSeconds: backOffMs / 1000 };
    return this.isStopping ? DEFERRED : undefined;
  }

  /** The one call to the provider. Only the owner of the lease gets here. */
  private async exchange(
    connection: RefreshableConnection,
    refreshToken: PlainToken,
    lease: Lease,
  ): Promise<RefreshResult> {
    const stopTimer = this.metrics.refreshDuration.startTimer();
    try {
      const returned = await this.callProvider(connection, refreshToken, lease);
      if (isProviderError(returned)) return await this.handleError(connection, lease, returned);
      const { current, isSuperseded } = await this.saver.save(connection, returned, refreshToken);
      this.count(isSuperseded ? 'superseded' : 'success');
      return toResult(current);
    } finally {
      stopTimer();
    }
  }

  private async callProvider(
    { system }: Connection,
    refreshToken: PlainToken,
    { maySend }: Lease,
  ): Promise<TokenSet | ProviderError> {
    try {
      return await this.strategies.get(system).refresh(refreshToken, maySend);
    } catch (error) {
      if (isProviderError(error)) return error;
      throw error;
    }
  }

  private async handleError(
    connection: RefreshableConnection,
    lease: Lease,
    error: ProviderError,
  ): Promise<RefreshResult> {
    if (error.details.isTooLate) {
      this.leases.abandon(connection, lease.owner);
      return DEFERRED;
    }
    if (connection.state === 'active') {
      return error.failure === 'rejected'
        ? this.handleRejection(connection, error)
        : this.handleFailure(connection, lease, error);
    }
    await this.releaseLease(connection, lease, { error, backOffMs: 0, failures: connection.refresh.failures });
    return { outcome: 'failed', error };
  }

  /** `invalid_grant`: if the row changed, another refresh explains it; otherwise the grant is lost. */
  private async handleRejection(connection: ActiveConnection, error: ProviderError): Promise<RefreshResult> {
    const found = await this.retryBriefly(() => this.tokens.findForRefresh(connection));
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
    const { failure, details } = error;
    this.count(failure === 'unavailable' ? 'provider_unavailable' : 'provider_error');
    if (failure === 'application_rejected' || failure === 'request_rejected') {
      const key = failure === 'application_rejected' ? connection.system : connection.tokenId;
      this.cooldown.start(key, policy.APPLICATION_COOLDOWN_MS);
      this.log('error', 'token.refresh.service_rejected', connection, error.toLog());
      await this.releaseLease(connection, lease, { error, backOffMs: 0, failures: connection.refresh.failures });
      return { outcome: 'failed', error };
    }
    const failures = connection.refresh.failures + 1;
    const ownMs = policy.refreshBackOffMs(failures, details.retryAfterSeconds, this.clock);
    // After this service's own timeout the provider may still be processing the call.
    const backOffMs = details.isTimeout ? Math.max(ownMs, policy.SAVE_MS) : ownMs;
    this.log('warn', 'token.refresh.failed', connection, { ...error.toLog(), failures });
    await this.releaseLease(connection, lease, { error, backOffMs, failures });
    return { outcome: 'failed', error, retryAfterSeconds: backOffMs / 1000 };
  }

  /** A lease that cannot be released is taken over by another process. */
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
      nextMaintenanceAt:
        isActive && startedAt ? this.nextMaintenanceAt(started(connection, this.clock)) : connection.maintenance.nextAt,
    };
    try {
      this.report(await this.retryBriefly(() => this.tokens.releaseLease(connection, owner, failed)));
    } catch (err) {
      this.log('warn', 'token.refresh.lease_not_released', connection, { err });
    }
  }

  /** Returns undefined if the connection changed meanwhile, which takes precedence. */
  private async markLost(
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
    const loss = { reason, intuitTid, nextMaintenanceAt: this.nextMaintenanceAt(lost) };
    const event = await this.retryBriefly(() => this.tokens.markLost(connection, loss));
    this.report(event);
    return event && lost;
  }

  private leaseMs({ system }: Connection): number {
    return this.strategies.get(system).profile.timeoutMs + policy.SAVE_MS;
  }

  private nextMaintenanceAt(connection: Connection): Date {
    const { maintenance } = this.strategies.get(connection.system).profile;
    return nextMaintenanceAt(connection, this.clock.now(), maintenance);
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

  private log(level: 'info' | 'warn' | 'error', event: string, connection: Connection, facts: object): void {
    const { organizationId, realmId } = connection;
    this.logger[level]({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

/** True if no process changed the connection between two reads. */
export function isUnchanged(a: Connection, b: Connection): boolean {
  return a.tokenId === b.tokenId && a.generation === b.generation;
}

/** The connection with a refresh of unknown outcome. */
function started(connection: ActiveConnection, clock: Clock): ActiveConnection {
  return { ...connection, refresh: { ...connection.refresh, startedAt: clock.now() } };
}

function toResult(connection: Connection | undefined): RefreshResult {
  return connection?.state === 'active' ? { outcome: 'current', connection } : { outcome: 'ended', connection };
}
