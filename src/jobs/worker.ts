import { hasCode } from '../errors.ts';
import type { EncryptionKeyCheck } from '../observability/encryption-key-check.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { FailedCompanies } from '../services/failed-companies.ts';
import { backOffMs, jitter } from '../utils/back-off.ts';
import type { Clock } from '../utils/clock.ts';
import type { Job } from './job.ts';

const BATCH = 100;
/** Pauses of a job whose provider is down. */
const MIN_COOLDOWN_MS = 15_000;
const MAX_COOLDOWN_MS = 5 * 60_000;

interface Dependencies {
  jobs: Job[];
  encryptionKey: Pick<EncryptionKeyCheck, 'isValid'>;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
}

/** Runs the jobs, each at its own pace: a slow webhook receiver delays no connection's maintenance. */
export class Worker {
  private readonly runners: JobRunner[];
  private readonly stopping = new AbortController();
  private running: Promise<unknown> | undefined;

  constructor({ jobs, ...dependencies }: Dependencies) {
    this.runners = jobs.map((job) => new JobRunner({ job, ...dependencies, signal: this.stopping.signal }));
  }

  start(): void {
    this.running ??= Promise.all(this.runners.map((runner) => runner.loop()));
  }

  /** Finishes the items that are being worked on. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Runs every job once, for what is due now. */
  async tick(): Promise<void> {
    await Promise.all(this.runners.map((runner) => runner.tick()));
  }
}

interface RunnerDependencies {
  job: Job;
  encryptionKey: Dependencies['encryptionKey'];
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** Aborted when the process stops. */
  signal: AbortSignal;
}

class WrongKeyError extends Error {
  override readonly name = 'WrongKeyError';

  constructor() {
    super('ENCRYPTION_KEY cannot decrypt the stored tokens: nothing is done until it can');
  }
}

class JobRunner {
  private readonly job: Job;
  private readonly encryptionKey: Dependencies['encryptionKey'];
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: Metrics;
  private readonly signal: AbortSignal;
  private readonly failedCompanies = new FailedCompanies();
  /** How many cooldowns began since the last success. */
  private cooldowns = 0;
  private cooldownEndsAt = Number.NEGATIVE_INFINITY;

  constructor({ job, encryptionKey, clock, logger, metrics, signal }: RunnerDependencies) {
    this.job = job;
    this.encryptionKey = encryptionKey;
    this.clock = clock;
    this.logger = logger;
    this.metrics = metrics;
    this.signal = signal;
  }

  async loop(): Promise<void> {
    while (!this.signal.aborted) {
      await this.tick();
      await this.clock.sleep(jitter(this.job.intervalMs, this.clock), this.signal);
    }
  }

  /** A job that fails is retried at its next tick. With a wrong key none runs: each item would fail, and be deferred. */
  async tick(): Promise<void> {
    const { name } = this.job;
    try {
      if (!(await this.encryptionKey.isValid())) throw new WrongKeyError();
      if (!this.isCoolingDown()) await this.runDue();
      this.metrics.workerRuns.inc({ task: name, outcome: 'ok' });
    } catch (error) {
      this.metrics.workerRuns.inc({ task: name, outcome: 'failed' });
      const level = hasCode(error, 'service_unavailable') ? 'warn' : 'error';
      this.logger[level]({ event: 'worker.job.failed', job: name, err: error }, 'worker.job.failed');
    }
  }

  private async runDue(): Promise<void> {
    const items = this.shuffle(await this.job.listDue(BATCH));
    const runNext = async () => {
      for (let item = items.shift(); item !== undefined; item = items.shift()) {
        if (this.signal.aborted || this.isCoolingDown()) return;
        await this.runItem(item);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: this.job.concurrency }, runNext));
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
  }

  private async runItem(item: unknown): Promise<void> {
    const claimed = await this.job.claim(item);
    if (claimed === undefined) return;
    const outcome = await this.job.run(claimed);
    if (outcome === 'skipped') return;
    if (outcome === 'provider_down') this.recordFailure(claimed);
    else this.recordSuccess();
    await this.clock.sleep(jitter(this.job.pauseMs, this.clock), this.signal);
  }

  /** Workers with the same batch then seldom claim the same item. */
  private shuffle<T>(items: T[]): T[] {
    return items
      .map((item) => ({ item, order: this.clock.random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item);
  }

  private isCoolingDown(): boolean {
    return this.clock.monotonicMs() < this.cooldownEndsAt;
  }

  private recordSuccess(): void {
    this.failedCompanies.clear();
    this.cooldowns = 0;
  }

  private recordFailure(item: unknown): void {
    const company = this.job.companyOf?.(item);
    if (company !== undefined) this.failedCompanies.add(company);
    if (!this.failedCompanies.isProviderDown()) return;
    const { clock } = this;
    this.cooldowns += 1;
    const backOff = { attempt: this.cooldowns, minMs: MIN_COOLDOWN_MS, maxMs: MAX_COOLDOWN_MS, clock };
    const milliseconds = backOffMs(backOff);
    this.cooldownEndsAt = clock.monotonicMs() + milliseconds;
    const facts = { event: 'worker.cooldown', job: this.job.name, cooldown_ms: Math.round(milliseconds) };
    this.logger.warn(facts, 'worker.cooldown');
  }
}
