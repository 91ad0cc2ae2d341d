import type { MigrationDatastore } from '../datastores/migration-datastore.ts';
import type { Readiness } from '../schemas/health.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { within } from '../utils/with-timeout.ts';

const CHECK_TIMEOUT_MS = 2_000;

/** Tells whether this process can do its work. */
export class Health {
  private readonly flights = new SingleFlight<Readiness['checks']>();
  private isStopping = false;

  constructor(private readonly migrations: MigrationDatastore) {}

  /** From now on the process takes no new work. */
  stop(): void {
    this.isStopping = true;
  }

  async readiness(): Promise<Readiness> {
    const checks = await this.flights.run('check', () => this.check()); // anyone may ask, and as often as he likes
    const isReady = checks.database === 'ok' && checks.migrations === 'ok';
    return { status: this.isStopping ? 'stopping' : isReady ? 'ready' : 'unavailable', checks };
  }

  private async check(): Promise<Readiness['checks']> {
    try {
      const pending = await within(
        CHECK_TIMEOUT_MS,
        this.migrations.hasPending(),
        () => new Error('the check took too long'),
      );
      return { database: 'ok', migrations: pending ? 'pending' : 'ok' };
    } catch {
      return { database: 'unreachable', migrations: 'unreachable' };
    }
  }
}
