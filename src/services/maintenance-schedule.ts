import type { ActiveConnection, Connection } from '../models/connection.ts';
import { nextMaintenanceAt } from '../models/maintenance.ts';
import type { StrategyRegistry } from '../strategies/strategy-registry.ts';
import type { Clock } from '../utils/clock.ts';

/** When the worker looks at a connection next, by its provider's lifetimes. */
export class MaintenanceSchedule {
  private readonly strategies: StrategyRegistry;
  private readonly clock: Clock;

  constructor({ strategies, clock }: { strategies: StrategyRegistry; clock: Clock }) {
    this.strategies = strategies;
    this.clock = clock;
  }

  next(connection: Connection): Date {
    const { maintenance } = this.strategies.get(connection.system).profile;
    return nextMaintenanceAt(connection, this.clock.now(), maintenance);
  }

  /** If a refresh that starts now is never heard of again. */
  afterStart(connection: ActiveConnection): Date {
    return this.next({ ...connection, refresh: { ...connection.refresh, startedAt: this.clock.now() } });
  }
}
