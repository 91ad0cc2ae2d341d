import type { Overview, OverviewDatastore } from '../datastores/statistics-datastore.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { within } from '../utils/with-timeout.ts';
import type { Metrics } from './metrics.ts';

/** However often `/metrics` is asked, the database is asked no more often than this. */
const AT_MOST_EVERY_MS = 5_000;
const PATIENCE_MS = 2_000;

/** Keeps the gauges that speak of the database: of all connections, whichever replica tells. */
export class OverviewGauges {
  private readonly flights = new SingleFlight<void>();
  private readAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly overview: OverviewDatastore,
    private readonly metrics: Metrics,
    private readonly now: () => Date,
  ) {}

  /** Brings the gauges up to date. Never fails: a database that is away is a figure as well. */
  async update(): Promise<void> {
    if (performance.now() - this.readAt >= AT_MOST_EVERY_MS) await this.flights.run('read', () => this.read());
    this.showPool();
  }

  private async read(): Promise<void> {
    try {
      this.show(await within(PATIENCE_MS, this.overview.read(), () => new Error('the overview took too long')));
    } catch {
      this.show(undefined); // old figures would pass for new ones
    }
    this.readAt = performance.now();
  }

  private show(overview: Overview | undefined): void {
    const { metrics } = this;
    metrics.databaseUp.set(overview ? 1 : 0);
    set(metrics.connections, overview?.active, { state: 'active' });
    set(metrics.connections, overview?.lost, { state: 'lost' });
    set(metrics.refreshFailing, overview?.refreshFailing);
    set(metrics.revocationsWaiting, overview?.revocationsWaiting);
    set(metrics.webhooksWaiting, overview?.webhooksWaiting);
    set(metrics.soonestExpiry, overview?.soonestExpiry && overview.soonestExpiry.getTime() / 1000);
    const overdue = overview && this.now().getTime() - (overview.mostOverdue ?? this.now()).getTime();
    set(metrics.careOverdue, overdue && Math.max(0, overdue / 1000));
  }

  private showPool(): void {
    const { used, idle, waiting } = this.overview.pool();
    set(this.metrics.poolConnections, used, { state: 'used' });
    set(this.metrics.poolConnections, idle, { state: 'idle' });
    set(this.metrics.poolWaiting, waiting);
  }
}

/** A figure that there is none of is no sample. */
function set(gauge: Metrics['connections' | 'databaseUp'], value: number | undefined, labels: { state?: string } = {}) {
  if (value === undefined) gauge.remove(labels);
  else gauge.set(labels, value);
}
