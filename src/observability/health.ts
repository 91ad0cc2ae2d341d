import type { MigrationDatastore } from '../datastores/migration-datastore.ts';
import type { Readiness } from '../schemas/health.ts';
import type { Clock } from '../utils/clock.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { withTimeout } from '../utils/with-timeout.ts';

const CHECK_TIMEOUT_MS = 2_000;

/** Checks whether this process can do its work. */
export class Health {
  private readonly migrations: Pick<MigrationDatastore, 'hasPending'>;
  private readonly clock: Clock;
  private readonly flights = new SingleFlight<Readiness['checks']>();
  private isStopping = false;

  constructor(migrations: Pick<MigrationDatastore, 'hasPending'>, clock: Clock) {
    this.migrations = migrations;
    this.clock = clock;
  }

  /** From now on the process reports that it is stopping. */
  stop(): void {
    this.isStopping = true;
  }

  /** Concurrent callers share one check, so that a flood of them does not reach the database. */
  async readiness(): Promise<Readiness> {
    const checks = await this.flights.run('check', () => this.check());
    const isReady = checks.database === 'ok' && checks.migrations === 'ok';
    return { status: this.isStopping ? 'stopping' : isReady ? 'ready' : 'unavailable', checks };
  }

  private async check(): Promise<Readiness['checks']> {
    try {
      const hasPending = await withTimeout(this.migrations.hasPending(), {
        clock: this.clock,
        timeoutMs: CHECK_TIMEOUT_MS,
        onTimeout: () => new Error('the readiness check timed out'),
      });
      return { database: 'ok', migrations: hasPending ? 'pending' : 'ok' };
    } catch {
      return { database: 'unreachable', migrations: 'unreachable' };
    }
  }
}
