import type { Statistics, StatisticsDatastore } from '../datastores/statistics-datastore.ts';
import type { Clock } from '../utils/clock.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import type { Metrics } from './metrics.ts';

/** However often `/metrics` is scraped, the database is queried no more often than this. */
const MIN_INTERVAL_MS = 5_000;
const READ_TIMEOUT_MS = 2_000;

interface Dependencies {
  statistics: Pick<StatisticsDatastore, 'read' | 'pool'>;
  metrics: Metrics;
  clock: Clock;
}

/** The gauges that describe the database: the same on every replica. */
export class DatabaseGauges {
  private readonly statistics: Dependencies['statistics'];
  private readonly metrics: Metrics;
  private readonly clock: Clock;
  private readonly flights = new SingleFlight<void>();
  private readAt = Number.NEGATIVE_INFINITY;

  constructor({ statistics, metrics, clock }: Dependencies) {
    this.statistics = statistics;
    this.metrics = metrics;
    this.clock = clock;
  }

  /** Updates the gauges. Never throws: an unavailable database is a value as well. */
  async update(): Promise<void> {
    const isDue = this.clock.monotonicMs() - this.readAt >= MIN_INTERVAL_MS;
    if (isDue) await this.flights.run('read', () => this.read());
    this.setPool();
  }

  private async read(): Promise<void> {
    try {
      const options = { clock: this.clock, timeoutMs: READ_TIMEOUT_MS, onTimeout: () => new Error('timeout') };
      this.set(await withTimeout(this.statistics.read(), options));
    } catch {
      this.set(undefined); // old values would look like new ones
    }
    this.readAt = this.clock.monotonicMs();
  }

  private set(statistics: Statistics | undefined): void {
    const { metrics } = this;
    metrics.databaseUp.set(statistics ? 1 : 0);
    setOrRemove(metrics.connections, statistics?.active, { state: 'active' });
    setOrRemove(metrics.connections, statistics?.lost, { state: 'lost' });
    setOrRemove(metrics.refreshFailing, statistics?.refreshFailing);
    setOrRemove(metrics.pendingRevocations, statistics?.pendingRevocations);
    setOrRemove(metrics.pendingWebhooks, statistics?.pendingWebhooks);
    const expiry = statistics?.earliestRefreshTokenExpiry;
    setOrRemove(metrics.earliestRefreshTokenExpiry, expiry && expiry.getTime() / 1000);
    const now = this.clock.now();
    const lagMs = statistics && now.getTime() - (statistics.earliestMaintenance ?? now).getTime();
    setOrRemove(metrics.maintenanceLag, lagMs && Math.max(0, lagMs / 1000));
  }

  private setPool(): void {
    const { used, idle, waiting } = this.statistics.pool();
    setOrRemove(this.metrics.poolConnections, used, { state: 'used' });
    setOrRemove(this.metrics.poolConnections, idle, { state: 'idle' });
    setOrRemove(this.metrics.poolPending, waiting);
  }
}

/** A value that does not exist is no sample. */
function setOrRemove(
  gauge: Metrics['connections' | 'databaseUp'],
  value: number | undefined,
  labels: { state?: string } = {},
): void {
  if (value === undefined) gauge.remove(labels);
  else gauge.set(labels, value);
}
