import { randomUUID } from 'node:crypto';
import type { OAuthState } from '../auth/oauth-states.ts';
import type { TokenCipher } from '../crypto/token-cipher.ts';
import type { PendingGrantDatastore } from '../datastores/pending-grant-datastore.ts';
import { AppError, hasCode } from '../errors.ts';
import { withStoredExpiry } from '../models/connection.ts';
import type { CallbackOutcome, PendingGrant } from '../models/pending-grant.ts';
import type { Logger } from '../observability/logger.ts';
import type { NewGrant } from '../strategies/accounting-strategy.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import { type Clock, fromNow, isTimeCertain } from '../utils/clock.ts';
import { retry } from '../utils/retry.ts';
import { Stopwatch } from '../utils/stopwatch.ts';
import type { CompanyCheck, GrantCompleter } from './grant-completer.ts';
import type { GrantRevoker } from './grant-revoker.ts';

/** How long a process has a grant that it received for itself: longer than the rest of a callback takes. */
const CLAIM_MS = 2 * 60_000;
/** Neither the exchange of a code nor what follows takes more than this beyond its call to the provider, unless delayed. */
const LATE_MS = 2_000;

interface Dependencies {
  strategies: StrategyRegistry;
  grants: PendingGrantDatastore;
  cipher: TokenCipher;
  completer: GrantCompleter;
  revoker: GrantRevoker;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/**
 * Receives new grants. Each exists nowhere else, so it is stored before anything else can fail; if the database is
 * unavailable, it is kept in memory until it can be stored, and revoked if the process ends before.
 */
export class GrantReceiver {
  private readonly strategies: StrategyRegistry;
  private readonly grants: PendingGrantDatastore;
  private readonly cipher: TokenCipher;
  private readonly completer: GrantCompleter;
  private readonly revoker: GrantRevoker;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private isStopping = false;
  /** Whether a grant could be neither stored nor revoked. */
  hasLostGrant = false;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.grants = dependencies.grants;
    this.cipher = dependencies.cipher;
    this.completer = dependencies.completer;
    this.revoker = dependencies.revoker;
    this.backgroundTasks = dependencies.backgroundTasks;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
  }

  /**
   * Stores and completes the grant that a code is exchanged for. Returns undefined if the database is unavailable for
   * longer than one call to the provider may take: the work then continues in the background.
   * @throws AppError of `exchangeCode`; `service_unavailable` if the grant could not be stored
   */
  async receive(state: OAuthState, exchangeCode: () => Promise<NewGrant>): Promise<CallbackOutcome | undefined> {
    const createdAt = this.clock.now(); // before the exchange, which can be delayed: what the user does meanwhile is newer
    const stopwatch = new Stopwatch(this.clock);
    const grant = this.toPendingGrant(state, await exchangeCode(), createdAt);
    const wasLate = this.isLate(grant, stopwatch);
    return new Promise((resolve, reject) => {
      const work = new Work(() => {
        this.log('connect.grant_kept', grant, {});
        resolve(undefined);
      });
      this.backgroundTasks.run(this.storeAndComplete(grant, work, wasLate)).then(resolve, reject);
    });
  }

  /** From now on a grant that cannot be stored is revoked. */
  stop(): void {
    this.isStopping = true;
  }

  private async storeAndComplete(
    grant: PendingGrant,
    work: Work,
    wasLate: boolean,
  ): Promise<CallbackOutcome | undefined> {
    const stopwatch = new Stopwatch(this.clock);
    await this.store(grant, work);
    const check = await this.completer.verifyCompany(grant);
    // The process was paused, or the database was slow: the user may have done something else since.
    const isLate = () => wasLate || work.isDeferred || this.isLate(grant, stopwatch);
    let outcome = await this.complete(grant, check, work, isLate);
    if (outcome === undefined) {
      await this.store(grant, work); // a failover of the database may have lost it
      outcome = await this.complete(grant, check, work, () => true);
    }
    return outcome === 'left_to_worker' ? undefined : outcome;
  }

  private async complete(
    grant: PendingGrant,
    check: CompanyCheck,
    work: Work,
    endsIfSuperseded: () => boolean,
  ): Promise<CallbackOutcome | 'left_to_worker' | undefined> {
    try {
      return await this.persist(grant, work, () => this.completer.complete(grant, check, { endsIfSuperseded }));
    } catch (err) {
      if (!hasCode(err, 'service_unavailable')) throw err;
      this.log('connect.grant_left_to_worker', grant, { err });
      return 'left_to_worker';
    }
  }

  private async store(grant: PendingGrant, work: Work): Promise<void> {
    try {
      await this.persist(grant, work, () =>
        this.grants.insert({ ...grant, nextAttemptAt: fromNow(this.clock, CLAIM_MS) }),
      );
    } catch (err) {
      this.log('connect.grant_not_stored', grant, { err });
      const { organizationId, system, realmId, tokens } = grant;
      const orphaned = { organizationId, system, realmId, refreshToken: tokens.refreshToken };
      const isEnded = await this.revoker.revokeOrphaned(orphaned);
      if (!isEnded) this.hasLostGrant = true;
      if (!hasCode(err, 'service_unavailable')) throw err;
      const consequence = isEnded ? ', so it was revoked' : '';
      const detail = `The connection could not be stored${consequence}. Please connect again in a minute.`;
      throw new AppError('service_unavailable', { detail, retryAfterSeconds: err.retryAfterSeconds, cause: err.cause });
    }
  }

  /** Retries until it succeeds or the process stops; from one call's time on without its caller. */
  private persist<T>(grant: PendingGrant, work: Work, write: () => Promise<T>): Promise<T> {
    const stopwatch = new Stopwatch(this.clock);
    const isRetryable = (error: unknown) => {
      if (!hasCode(error, 'service_unavailable') || this.isStopping) return false;
      if (stopwatch.elapsedMs() >= this.timeoutMs(grant)) work.defer();
      return true;
    };
    return retry(write, { clock: this.clock, isRetryable });
  }

  private isLate(grant: PendingGrant, stopwatch: Stopwatch): boolean {
    return stopwatch.elapsedMs() >= this.timeoutMs(grant) + LATE_MS;
  }

  /** How long one call to the provider may take. */
  private timeoutMs({ system }: PendingGrant): number {
    return this.strategies.get(system).profile.timeoutMs;
  }

  private toPendingGrant(state: OAuthState, { realmId, tokens }: NewGrant, createdAt: Date): PendingGrant {
    const { organizationId, system, id: stateId, actor, pinnedRealmId, link } = state;
    const owner = { tokenId: randomUUID(), organizationId, system, realmId };
    return {
      ...owner,
      tokens: this.cipher.encryptTokens(owner, withStoredExpiry(tokens, { isTimeCertain: isTimeCertain(this.clock) })),
      intuitTid: tokens.intuitTid,
      actor,
      stateId,
      pinnedRealmId,
      link,
      phase: 'received',
      companyName: undefined,
      verifiedAt: undefined,
      confirmableUntil: undefined,
      nextAttemptAt: createdAt,
      createdAt,
    };
  }

  private log(event: string, { organizationId, realmId }: PendingGrant, facts: object): void {
    this.logger.warn({ event, organization_id: organizationId, realm_id: realmId, ...facts }, event);
  }
}

/** Work that its caller no longer waits for once it is deferred. */
class Work {
  isDeferred = false;
  private readonly onDefer: () => void;

  constructor(onDefer: () => void) {
    this.onDefer = onDefer;
  }

  defer(): void {
    if (!this.isDeferred) this.onDefer();
    this.isDeferred = true;
  }
}
