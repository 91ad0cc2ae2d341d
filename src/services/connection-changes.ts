import type { EndedConnection } from '../datastores/oauth-token-datastore.ts';
import type { PendingRevocation } from '../datastores/pending-revocation-datastore.ts';
import type { AccountingSystem } from '../models/connection.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import type { GrantRevoker, RevocationOutcome } from './grant-revoker.ts';

/**
 * How the attempt of a revocation ended.
 * - `in_progress`: it takes longer than its caller waits.
 * - `awaits_proof`: the worker attempts it once the company is proven.
 */
export type RevocationAttempt = RevocationOutcome | 'in_progress' | 'awaits_proof';

interface Dependencies {
  strategies: StrategyRegistry;
  revoker: GrantRevoker;
  backgroundTasks: BackgroundTasks;
  clock: Clock;
  logger: Logger;
}

/** What follows a change to a connection, once it is committed. */
export class ConnectionChanges {
  private readonly strategies: StrategyRegistry;
  private readonly revoker: GrantRevoker;
  private readonly backgroundTasks: BackgroundTasks;
  private readonly clock: Clock;
  private readonly logger: Logger;

  constructor(dependencies: Dependencies) {
    this.strategies = dependencies.strategies;
    this.revoker = dependencies.revoker;
    this.backgroundTasks = dependencies.backgroundTasks;
    this.clock = dependencies.clock;
    this.logger = dependencies.logger;
  }

  /** Logs the change and attempts its revocation. Returns how that ended; undefined if there is none. */
  async finish(
    system: AccountingSystem,
    { event, revocation }: EndedConnection,
  ): Promise<RevocationAttempt | undefined> {
    logEvent(this.logger, event);
    return typeof revocation === 'object' ? this.revoke(system, revocation) : revocation;
  }

  /** Attempts a revocation for no longer than one call may take: it continues in the background, and the worker retries it. */
  async revoke(system: AccountingSystem, revocation: PendingRevocation): Promise<RevocationAttempt> {
    const attempt = this.backgroundTasks.run(this.revoker.revoke(revocation));
    const { timeoutMs } = this.strategies.get(system).profile;
    const onTimeout = () => new Error('the revocation continues in the background');
    return withTimeout(attempt, { clock: this.clock, timeoutMs, onTimeout }).catch(() => 'in_progress' as const);
  }
}
