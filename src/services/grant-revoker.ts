import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { OAuthTokenDatastore } from '../datastores/oauth-token-datastore.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import type {
  Grant,
  PendingRevocation,
  PendingRevocationDatastore,
} from '../datastores/pending-revocation-datastore.ts';
import { AppError } from '../errors.ts';
import type { AccountingSystem, RealmId } from '../models/connection.ts';
import type { Logger } from '../observability/logger.ts';
import { isProviderError, ProviderError } from '../strategies/provider-error.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import { backOffMs } from '../utils/back-off.ts';
import { type Clock, earliestNow, fromNow } from '../utils/clock.ts';

const MINUTE_MS = 60_000;
const MIN_BACK_OFF_MS = MINUTE_MS;
const MAX_BACK_OFF_MS = 6 * 60 * MINUTE_MS;
/** Longer than a callback takes. */
const DEFER_MS = 2 * MINUTE_MS;
/** From then on a revocation is not deferred any more, however often its company is connected. */
const MAX_DEFERRED_MS = 60 * MINUTE_MS;
/** A grant that could not be revoked for this long is left to expire, if it was attempted that often: waiting is no attempt. */
const ABANDON_MS = 7 * 24 * 60 * MINUTE_MS;
const ABANDON_ATTEMPTS = 10;

/**
 * How an attempt ended.
 * - `revoked`: the provider revoked the grant.
 * - `not_needed`: an active connection uses its company.
 * - `deferred`: a connection may use its company that is not proven yet, or that a failover of the database has lost.
 * - `abandoned`: it was attempted so often that the grant is left to expire.
 * - `failed`, `provider_down`: it is attempted again later.
 */
export type RevocationOutcome = 'revoked' | 'not_needed' | 'deferred' | 'abandoned' | 'failed' | 'provider_down';

interface Dependencies {
  strategies: StrategyRegistry;
  tokens: OAuthTokenDatastore;
  grants: PendingGrantDatastore;
  pending: PendingRevocationDatastore;
  cipher: TokenCipher;
  /** False while a failover of the database may have lost connections that are still to be stored again. */
  isRestored: () => boolean;
  clock: Clock;
  logger: Logger;
}

/** Revokes grants that no connection needs any more. Each is recorded before it is attempted, so that none is forgotten. */
export class GrantRevoker {
  private readonly strategies: StrategyRegistry;
  private readonly tokens: OAuthTokenDatastore;
  private readonly grants: PendingGrantDatastore;
  private readonly pending: PendingRevocationDatastore;
  private readonly cipher: TokenCipher;
  private readonly isRestored: () => boolean;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.tokens = dependencies.tokens;
    this.grants = dependencies.grants;
    this.pending = dependencies.pending;
    this.cipher = dependencies.cipher;
    this.isRestored = dependencies.isRestored;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
  }

  /** Attempts a recorded revocation once. Never throws: the connection has ended already, and the worker tries again. */
  async revoke(revocation: PendingRevocation): Promise<RevocationOutcome> {
    try {
      const outcome = await this.execute(revocation);
      if (outcome === 'deferred') await this.pending.defer(revocation, fromNow(this.clock, DEFER_MS));
      else await this.pending.delete(revocation);
      return outcome;
    } catch (error) {
      const isOwnFault =
        !(error instanceof AppError) && !isProviderError(error, 'unavailable', 'unreadable', 'rejected');
      const facts = error instanceof ProviderError ? error.toLog() : { err: error };
      this.log(isOwnFault ? 'error' : 'warn', 'grant.revocation.failed', revocation, facts);
      const onError = (err: unknown) => this.log('warn', 'grant.revocation.not_postponed', revocation, { err });
      await this.postpone(revocation).catch(onError);
      return isProviderError(error, 'unavailable', 'unreadable', 'application_rejected') ? 'provider_down' : 'failed';
    }
  }

  /** Defers a proven company's revocations, for a limited time: revoking an old grant while a new one is made could end both. */
  async deferCompany(system: AccountingSystem, realmId: RealmId): Promise<void> {
    const until = fromNow(this.clock, DEFER_MS);
    await this.pending.deferCompany({ system, realmId, until, createdAfter: fromNow(this.clock, -MAX_DEFERRED_MS) });
  }

  /** Records a grant that belongs to no connection, and attempts to revoke it. False if neither succeeded. */
  async revokeOrphaned(grant: Grant): Promise<boolean> {
    try {
      await this.revoke(await this.pending.record(grant));
      return true;
    } catch (err) {
      return this.revokeUnrecorded(grant, err);
    }
  }

  /** The only attempt, since the database is unavailable. @param err why the grant could not be recorded */
  private async revokeUnrecorded(grant: Grant, err: unknown): Promise<boolean> {
    try {
      await this.strategies.get(grant.system).revoke(this.cipher.decrypt(grant.refreshToken));
      this.log('info', 'grant.revoked', grant);
      return true;
    } catch {
      this.log('error', 'grant.revocation.not_recorded', grant, { err });
      return false;
    }
  }

  private async execute(revocation: PendingRevocation): Promise<RevocationOutcome> {
    const { system, realmId, refreshToken } = revocation;
    if (this.isPastAttempts(revocation)) {
      this.log('warn', 'grant.revocation.abandoned', revocation);
      return 'abandoned';
    }
    const isBeingConnected = await this.isBeingConnected(revocation); // first: it may be connected a moment later
    if (realmId && (await this.tokens.isCompanyConnected(system, realmId))) {
      this.log('info', 'grant.revocation.not_needed', revocation); // revoking one grant can end all of a company's
      return 'not_needed';
    }
    if (isBeingConnected || !this.isRestored()) {
      this.log('info', 'grant.revocation.deferred', revocation);
      return 'deferred';
    }
    await this.strategies.get(system).revoke(this.cipher.decrypt(refreshToken));
    this.log('info', 'grant.revoked', revocation);
    return 'revoked';
  }

  /** True if the company is being connected, which revoking the old grant could end. Claims of other organizations do not count. */
  private async isBeingConnected({ organizationId, system, realmId }: Grant): Promise<boolean> {
    if (!realmId) return false;
    if (await this.grants.isBeingConnected(system, realmId, organizationId)) return true;
    return organizationId !== undefined && this.tokens.isAwaitingProof({ organizationId, system }, realmId);
  }

  private isPastAttempts({ createdAt, attempts }: PendingRevocation): boolean {
    return attempts >= ABANDON_ATTEMPTS && earliestNow(this.clock).getTime() - createdAt.getTime() > ABANDON_MS;
  }

  private async postpone(revocation: PendingRevocation): Promise<void> {
    const { clock } = this;
    const attempt = revocation.attempts + 1;
    const milliseconds = backOffMs({ attempt, minMs: MIN_BACK_OFF_MS, maxMs: MAX_BACK_OFF_MS, clock });
    await this.pending.postpone(revocation, fromNow(clock, milliseconds));
  }

  private log(
    level: 'info' | 'warn' | 'error',
    event: string,
    { system, realmId, revocationId }: Grant & Partial<PendingRevocation>,
    facts: object = {},
  ): void {
    const context = { accounting_system: system, realm_id: realmId, revocation_id: revocationId };
    this.logger[level]({ event, ...context, ...facts }, event);
  }
}
