import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { RefreshDatastore } from '../datastores/refresh-datastore.ts';
import type {
  ActiveConnection,
  Connection,
  LostConnection,
  PlainToken,
  RefreshableConnection,
  TokenSet,
} from '../models/connection.ts';
import type { Metrics, RefreshMetric } from '../observability/metrics.ts';
import { isProviderError, type ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { type Clock, earliestNow } from '../utils/clock.ts';
import type { FailoverRestorer } from './failover-restorer.ts';
import type { MaintenanceSchedule } from './maintenance-schedule.ts';
import type { RefreshCooldown } from './refresh-cooldown.ts';
import type { RefreshFailures } from './refresh-failures.ts';
import type { Lease, RefreshLeases } from './refresh-leases.ts';
import * as policy from './refresh-policy.ts';
import { DEFERRED, isUnchanged, type RefreshResult, toResult } from './refresh-result.ts';
import type { RefreshSaver } from './refresh-saver.ts';

interface Dependencies {
  strategies: StrategyRegistry;
  refreshes: RefreshDatastore;
  cipher: TokenCipher;
  leases: RefreshLeases;
  saver: RefreshSaver;
  failover: FailoverRestorer;
  failures: RefreshFailures;
  schedule: MaintenanceSchedule;
  cooldown: RefreshCooldown;
  clock: Clock;
  metrics: Metrics;
}

/** Refreshes one connection's tokens: acquires the lease, calls the provider once, and saves or judges its response. */
export class TokenRefresher {
  private readonly strategies: StrategyRegistry;
  private readonly refreshes: RefreshDatastore;
  private readonly cipher: TokenCipher;
  private readonly leases: RefreshLeases;
  private readonly saver: RefreshSaver;
  private readonly failover: FailoverRestorer;
  private readonly failures: RefreshFailures;
  private readonly schedule: MaintenanceSchedule;
  private readonly cooldown: RefreshCooldown;
  private readonly clock: Clock;
  private readonly metrics: Metrics;
  private isStopping = false;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.refreshes = dependencies.refreshes;
    this.cipher = dependencies.cipher;
    this.leases = dependencies.leases;
    this.saver = dependencies.saver;
    this.failover = dependencies.failover;
    this.failures = dependencies.failures;
    this.schedule = dependencies.schedule;
    this.cooldown = dependencies.cooldown;
    this.clock = dependencies.clock;
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
    return this.run(refreshable, async ({ system }, backOffMs) =>
      backOffMs > 0 || this.isStopping || this.cooldown.isActive(system) ? DEFERRED : undefined,
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
      if (!this.failover.isRestored) {
        await this.clock.sleep(policy.pollMs(round, this.clock));
        continue;
      }
      const found = await this.refreshes.findForRefresh(seen);
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
    if (connection.state === 'active') return this.schedule.afterStart(connection);
    return connection.maintenance.nextAt ?? this.schedule.next(connection);
  }

  /** Avoids a call that must fail, or that the provider asked not to receive yet. */
  private async failFast(connection: ActiveConnection, backOffMs: number): Promise<RefreshResult | undefined> {
    if (policy.isRefreshTokenExpired(connection, earliestNow(this.clock))) {
      const lost = await this.failures.markLost(connection, 'refresh_token_expired');
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
      if (isProviderError(returned)) return await this.failures.handle(connection, lease, returned);
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
      return await this.strategies.get(system).refresh(refreshToken, () => maySend() && this.failover.isRestored);
    } catch (error) {
      if (isProviderError(error)) return error;
      throw error;
    }
  }

  private leaseMs({ system }: Connection): number {
    return this.strategies.get(system).profile.timeoutMs + policy.SAVE_MS;
  }

  private count(outcome: RefreshMetric): void {
    this.metrics.refreshes.inc({ outcome });
  }
}
