import type { EndedConnection } from '../datastores/oauth-token-datastore.ts';
import type { PendingRevocation } from '../datastores/pending-revocation-datastore.ts';
import type { AccountingSystem } from '../models/connection.ts';
import { logEvent } from '../observability/event-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { BackgroundTasks } from '../utils/background-tasks.ts';
import type { Clock } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import type { GrantRevoker } from './grant-revoker.ts';

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

  /** Logs the change and attempts its revocation. */
  async finish(system: AccountingSystem, { event, revocation }: EndedConnection): Promise<void> {
    logEvent(this.logger, event);
    if (revocation) await this.revoke(system, revocation);
  }

  /** Attempts a revocation for no longer than one call may take: it continues in the background, and the worker retries it. */
  async revoke(system: AccountingSystem, revocation: PendingRevocation): Promise<void> {
    const attempt = this.backgroundTasks.run(this.revoker.revoke(revocation));
    const { timeoutMs } = this.strategies.get(system).profile;
    const onTimeout = () => new Error('the revocation continues in the background');
    await withTimeout(attempt, { clock: this.clock, timeoutMs, onTimeout }).catch(() => undefined);
  }
}
