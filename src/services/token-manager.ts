import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fernet } from '../crypto/fernet.ts';
import { reseal } from '../crypto/token-cipher.ts';
import type { FailedRefresh, OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import { AppError } from '../errors.ts';
import type { Connection, LossReason, TokenSet } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics, RefreshOutcome } from '../observability/metrics.ts';
import { type AccountingStrategy, ProviderError } from '../strategies/accounting-strategy.ts';
import type { InFlight } from '../utils/background-tasks.ts';
import { persistently } from '../utils/retry.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { within } from '../utils/with-timeout.ts';
import type { GrantRevoker } from './grant-revoker.ts';
import { connectionNotFound, providerError, providerUnavailable, reauthorizationRequired } from './provider-errors.ts';
import * as timing from './refresh-policy.ts';

const EVERYONE = 'everyone';

/** Why a caller is told to come again though nothing was asked of the provider now. */
export const NOT_CALLED = 'not_called';

/** A connection, and its access token in clear. */
export interface OpenConnection {
  connection: Connection;
  accessToken: string;
}

/**
 * Hands out access tokens that work, and renews them. In one process all callers of a connection share one flight;
 * across replicas a lease in the row lets one of them call the provider. No database connection is held meanwhile.
 */
export class TokenManager {
  private readonly flights = new SingleFlight<Connection>();
  /** Until when no refresh is tried: by connection, and for all of them under `EVERYONE`. */
  private readonly pauses = new Map<string, number>();
  private isStopping = false;

  constructor(
    private readonly strategy: AccountingStrategy,
    private readonly tokens: OAuthTokenDatastore,
    private readonly fernet: Fernet,
    private readonly revoker: GrantRevoker,
    private readonly inFlight: InFlight,
    private readonly logger: Logger,
    private readonly metrics: Metrics,
    private readonly now: () => Date,
    /** Whole time of one call to the provider, in milliseconds. */
    private readonly timeoutMs: number,
    private readonly takeoverPauseMs = timing.TAKEOVER_PAUSE_MS,
  ) {}

  /**
   * An access token for the organization's company. Fresh: as it is. Ageing: as it is, renewed behind it. Expired: renewed.
   * @throws AppError `connection_not_found`, `reauthorization_required`, `provider_unavailable`, `provider_error`
   */
  async accessToken(organizationId: string): Promise<OpenConnection> {
    const connection = await this.find(organizationId);
    if (timing.isFresh(connection, this.now())) return this.open(connection);
    const renewal = this.refresh(connection);
    renewal.catch(() => undefined); // the flight tells of its failure; who waits for it learns of it below
    if (timing.isUsable(connection, this.now())) return this.open(connection);
    const patience = timing.isValid(connection, this.now())
      ? timing.VALID_TOKEN_PATIENCE_MS
      : timing.LONGEST_WAIT * this.timeoutMs;
    try {
      return this.open(await within(patience, renewal, () => providerUnavailable()));
    } catch (error) {
      if (isEnd(error) || !timing.isValid(connection, this.now())) throw error;
      return this.open(connection);
    }
  }

  /** A token in place of one that the provider refused, unless it was renewed meanwhile. @throws as `accessToken` */
  async replaceRefused(refused: Connection): Promise<OpenConnection> {
    const connection = await this.find(refused.organizationId);
    if (!isSame(connection, refused)) return this.open(connection);
    return this.open(
      await within(timing.LONGEST_WAIT * this.timeoutMs, this.refresh(connection), () => providerUnavailable()),
    );
  }

  /** Notes that the provider refuses tokens of this connection though they are new: more of them would not help. */
  pause({ tokenId }: Connection): void {
    this.pauses.set(tokenId, this.now().getTime() + timing.REFUSED_PAUSE_MS);
  }

  /** From now on no refresh is begun: one that the process's end cuts off costs a connection. */
  stop(): void {
    this.isStopping = true;
  }

  /** Renews the connection, however much time its token has left. @throws as `accessToken` */
  async refresh(connection: Connection): Promise<Connection> {
    return this.flights.run(connection.tokenId, () => this.inFlight.track(this.fly(connection)));
  }

  /** Tells of a fault of ours, which a caller with a token that still works would never hear of. */
  private async fly(connection: Connection): Promise<Connection> {
    try {
      return await this.takeTurn(connection);
    } catch (err) {
      if (!(err instanceof AppError)) this.log('error', 'refresh failed by a fault of ours', connection, { err });
      throw err;
    }
  }

  /**
   * One try with a lost connection's token; where it answers, the connection is active again, unless another took its
   * place meanwhile. @throws ProviderError
   */
  async recover(lost: Connection): Promise<void> {
    if (this.isStopping || this.isPaused(EVERYONE)) throw notCalled();
    const exchange = async () => this.save(lost, await this.strategy.refresh(this.fernet.decrypt(lost.refreshToken)));
    await this.inFlight.track(exchange());
  }

  /** Waits until the connection is renewed: by whoever holds its lease, or by this process once it gets the lease. */
  private async takeTurn(seen: Connection): Promise<Connection> {
    const waited = this.metrics.leaseWait.startTimer();
    const leaseMs = this.timeoutMs + timing.SAVE_MS;
    const deadline = performance.now() + leaseMs + this.takeoverPauseMs + timing.SAVE_MS;
    let current = seen;
    let abandonedAt: number | undefined;
    for (let round = 1; performance.now() < deadline; round += 1) {
      if (!isSame(current, seen)) {
        waited();
        return current;
      }
      await this.refuseWhereHopeless(current);
      abandonedAt = current.refresh.lease === 'abandoned' ? (abandonedAt ?? performance.now()) : undefined;
      const isLeft = abandonedAt !== undefined && performance.now() - abandonedAt > this.takeoverPauseMs;
      if (this.isStopping) throw notCalled();
      if (current.refresh.lease === 'free' || isLeft) {
        const owner = randomUUID();
        const refreshToken = this.fernet.decrypt(current.refreshToken);
        const askedAt = this.now().getTime();
        const isOwner = await this.tokens.acquireRefreshLease(current, owner, leaseMs);
        // A process that was paused meanwhile may have lost the lease again: it must not call.
        const isPrompt = this.now().getTime() - askedAt < timing.SAVE_MS / 2;
        if (isOwner && isPrompt) {
          waited();
          return this.exchange(current, owner, refreshToken);
        }
      }
      await delay(timing.pollPause(round));
      current = await this.find(seen.organizationId);
    }
    throw notCalled();
  }

  /** Spares the provider a call that must fail, or that it asked not to get yet. */
  private async refuseWhereHopeless(connection: Connection): Promise<void> {
    const now = this.now().getTime();
    const isHeld = connection.refresh.lease === 'held'; // its holder's answer may come still
    const isOver = connection.refreshTokenExpiresAt.getTime() <= now && !isHeld;
    if (isOver && (await this.lose(connection, 'refresh_token_expired'))) throw reauthorizationRequired();
    if (this.isPaused(EVERYONE) || this.isPaused(connection.tokenId)) throw providerError(NOT_CALLED);
    const wait = (connection.refresh.nextAttemptAt?.getTime() ?? 0) - now;
    if (wait > 0) throw notCalled(wait / 1000);
  }

  /** The one call to the provider. Whoever comes here owns the lease. */
  private async exchange(connection: Connection, owner: string, refreshToken: string): Promise<Connection> {
    const took = this.metrics.refreshDuration.startTimer();
    try {
      return await this.save(connection, await this.strategy.refresh(refreshToken));
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      if (error.failure === 'refused') return this.acceptRefusal(connection, error);
      throw await this.yieldLease(connection, owner, error);
    } finally {
      took();
    }
  }

  /** Keeps the answer until it is saved, since it exists nowhere else. Answers the connection as it stands then. */
  private async save(connection: Connection, answer: TokenSet): Promise<Connection> {
    const renewed = reseal(this.fernet, answer, connection);
    const save = async () => {
      await this.tokens.saveRefreshed(connection, renewed);
      return this.tokens.findCurrent(connection.organizationId, connection.system);
    };
    const current = await persistently(save, undefined, (err) => {
      if (!(err instanceof AppError)) this.log('error', 'refresh not saved yet', connection, { err });
      return true; // nothing is worse than to drop the answer
    });
    const facts = { intuit_tid: answer.intuitTid, generation: current?.generation };
    if (current?.tokenId === connection.tokenId) {
      this.count('success');
      this.log('info', 'refreshed', connection, facts);
    } else {
      this.count('superseded'); // disconnected or replaced meanwhile: that wins
      this.log('info', 'refresh superseded', connection, facts);
      await this.revoker.revokeLoose({ ...connection, refreshToken: renewed.refreshToken });
    }
    return orThrow(current);
  }

  /** `invalid_grant`: where the row moved on, somebody else's refresh explains it; else the grant is gone. */
  private async acceptRefusal(connection: Connection, error: ProviderError): Promise<Connection> {
    const find = () => this.tokens.findCurrent(connection.organizationId, connection.system);
    const current = await persistently(find, timing.RELEASE_PATIENCE_MS);
    if (!current || !isSame(current, connection)) {
      this.count('superseded');
      return orThrow(current);
    }
    this.log('warn', 'refresh token refused', connection, error.toLog());
    const reason = connection.refresh.startedAt ? 'rotation_lost' : 'authorization_revoked';
    const isLost = await this.lose(connection, reason, error.facts.intuitTid);
    this.count(!isLost ? 'superseded' : reason === 'rotation_lost' ? reason : 'revoked');
    if (isLost) throw reauthorizationRequired();
    return this.find(connection.organizationId);
  }

  /** False where the connection was changed meanwhile, and that wins. */
  private async lose(connection: Connection, reason: LossReason, intuitTid?: string): Promise<boolean> {
    const deactivate = () => this.tokens.deactivate(connection, reason, intuitTid);
    return persistently(deactivate, timing.RELEASE_PATIENCE_MS);
  }

  /** Gives the lease back after a failure that says nothing about the grant. Answers what the caller is told. */
  private async yieldLease(connection: Connection, owner: string, error: ProviderError): Promise<AppError> {
    const { failure, facts } = error;
    this.count(failure === 'unavailable' ? 'provider_unavailable' : 'provider_error');
    const before = { ...connection.refresh, keepsLease: false };
    if (failure === 'misconfigured') {
      const isForEveryone = ['invalid_client', 'unauthorized_client'].includes(facts.reason ?? '');
      const until = this.now().getTime() + timing.MISCONFIGURED_PAUSE_MS;
      this.pauses.set(isForEveryone ? EVERYONE : connection.tokenId, until);
      this.log('error', 'Intuit refuses this service: check its key pair', connection, error.toLog());
      await this.release(connection, owner, before, facts.intuitTid);
      return providerError();
    }
    const failures = connection.refresh.failures + 1;
    const nextAttemptAt = timing.nextAttempt(failures, facts.retryAfterSeconds, this.now());
    this.log('warn', 'refresh failed', connection, { ...error.toLog(), failures });
    const startedAt = facts.outcomeUnknown ? this.now() : before.startedAt;
    const isFailing = before.isFailing || !timing.isValid(connection, this.now());
    const keepsLease = facts.reason === 'TimeoutError'; // the provider may be at work on it still
    const failed = { startedAt, failures, nextAttemptAt, keepsLease, isFailing };
    await this.release(connection, owner, failed, facts.intuitTid);
    if (failure === 'unreadable') return providerError();
    return providerUnavailable((nextAttemptAt.getTime() - this.now().getTime()) / 1000);
  }

  /** A release that fails does no harm: the lease runs out. */
  private async release(connection: Connection, owner: string, failed: FailedRefresh, tid?: string): Promise<void> {
    const release = () => this.tokens.failRefresh(connection, owner, failed, tid);
    await persistently(release, timing.RELEASE_PATIENCE_MS).catch((err) =>
      this.log('warn', 'lease not released', connection, { err }),
    );
  }

  private isPaused(key: string): boolean {
    const isOver = (this.pauses.get(key) ?? 0) <= this.now().getTime();
    if (isOver) this.pauses.delete(key);
    return !isOver;
  }

  private async find(organizationId: string): Promise<Connection> {
    return orThrow(await this.tokens.findCurrent(organizationId, this.strategy.system));
  }

  private open(connection: Connection): OpenConnection {
    return { connection, accessToken: this.fernet.decrypt(connection.accessToken) };
  }

  private count(outcome: RefreshOutcome): void {
    this.metrics.refreshes.inc({ outcome });
  }

  private log(level: 'info' | 'warn' | 'error', event: string, connection: Connection, facts: object): void {
    const { organizationId, realmId } = connection;
    this.logger[level]({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

function notCalled(seconds?: number): AppError {
  return providerUnavailable(seconds, NOT_CALLED);
}

function orThrow(connection: Connection | undefined): Connection {
  if (!connection) throw connectionNotFound();
  if (!connection.isActive) throw reauthorizationRequired();
  return connection;
}

/** True where nobody changed the connection between two looks at it. */
function isSame(a: Connection, b: Connection): boolean {
  return a.tokenId === b.tokenId && a.generation === b.generation;
}

/** True for the failures that end a connection, valid token or not. */
function isEnd(error: unknown): boolean {
  return error instanceof AppError && ['connection_not_found', 'reauthorization_required'].includes(error.code);
}
