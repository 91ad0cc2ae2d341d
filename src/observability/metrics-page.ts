import type { Clock } from '../utils/clock.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import type { DatabaseGauges } from './database-gauges.ts';
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';

/** However often `/metrics` is requested, it is rendered no more often than this. */
const MIN_INTERVAL_MS = 1_000;

interface Dependencies {
  metrics: Pick<Metrics, 'contentType' | 'text'>;
  databaseGauges: Pick<DatabaseGauges, 'update'>;
  health: Pick<Health, 'readiness'>;
  clock: Clock;
}

/** The content of `/metrics`: one text in memory for all who request it within a second. */
export class MetricsPage {
  readonly contentType: string;
  private readonly metrics: Dependencies['metrics'];
  private readonly databaseGauges: Dependencies['databaseGauges'];
  private readonly health: Dependencies['health'];
  private readonly clock: Clock;
  private readonly flights = new SingleFlight<Buffer>();
  private rendered: { content: Buffer; at: number } | undefined;

  constructor({ metrics, databaseGauges, health, clock }: Dependencies) {
    this.contentType = metrics.contentType;
    this.metrics = metrics;
    this.databaseGauges = databaseGauges;
    this.health = health;
    this.clock = clock;
  }

  /** Returns all metrics in Prometheus' text format, no older than a second. */
  async content(): Promise<Buffer> {
    const { rendered } = this;
    if (rendered && this.clock.monotonicMs() - rendered.at < MIN_INTERVAL_MS) return rendered.content;
    return this.flights.run('render', () => this.render());
  }

  private async render(): Promise<Buffer> {
    // Each takes no longer than 2 s. The second updates the gauges of readiness, also if nothing requests `/readyz`.
    await Promise.all([this.databaseGauges.update(), this.health.readiness()]);
    const content = Buffer.from(await this.metrics.text());
    this.rendered = { content, at: this.clock.monotonicMs() };
    return content;
  }
}
