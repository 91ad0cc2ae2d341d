import type { HealthDatastore } from '../datastores/health-datastore.ts';
import type { Readiness } from '../schemas/health.ts';
import type { Clock } from '../utils/clock.ts';
import { SingleFlight } from '../utils/single-flight.ts';
import { withTimeout } from '../utils/with-timeout.ts';
import type { EncryptionKeyCheck } from './encryption-key-check.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

type Checks = Readiness['checks'];

/** What was found, and why it is not all well: an error's code, or the server's settings. */
interface Finding {
  checks: Checks;
  reason: string | undefined;
}

const CHECK_TIMEOUT_MS = 2_000;
/** While all is well, a write is tried no more often than this. */
const TRIAL_INTERVAL_MS = 30_000;
const ALL_OK: Checks = { database: 'ok', migrations: 'ok', encryption_key: 'ok' };

interface Dependencies {
  database: Pick<HealthDatastore, keyof HealthDatastore>;
  encryptionKey: Pick<EncryptionKeyCheck, 'isValid'>;
  clock: Clock;
  logger: Logger;
  metrics: Pick<Metrics, 'ready'>;
}

/** Checks whether this process can do its work, sets the gauge, and logs when that changes. */
export class Health {
  private readonly database: Dependencies['database'];
  private readonly encryptionKey: Dependencies['encryptionKey'];
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly metrics: Dependencies['metrics'];
  private readonly checking = new SingleFlight<Finding>();
  private readonly writing = new SingleFlight<void>();
  private isStopping = false;
  private reported = ALL_OK;
  /** When a write last succeeded, and the server's access mode then. */
  private tried = { at: Number.NEGATIVE_INFINITY, accessMode: '' };

  constructor({ database, encryptionKey, clock, logger, metrics }: Dependencies) {
    this.database = database;
    this.encryptionKey = encryptionKey;
    this.clock = clock;
    this.logger = logger;
    this.metrics = metrics;
  }

  /** From now on the process reports that it is stopping. */
  stop(): void {
    this.isStopping = true;
  }

  /** Concurrent callers share one check, so that a flood of them does not reach the database. Never throws. */
  async readiness(): Promise<Readiness> {
    const { checks } = await this.checking.run('check', () => this.check());
    const isReady = Object.values(checks).every((check) => check === 'ok');
    if (this.isStopping) this.metrics.ready.remove();
    else this.metrics.ready.set(isReady ? 1 : 0);
    return { status: this.isStopping ? 'stopping' : isReady ? 'ready' : 'unavailable', checks };
  }

  private async check(): Promise<Finding> {
    const endsAt = this.clock.monotonicMs() + CHECK_TIMEOUT_MS;
    const finding = await this.limited(endsAt, this.read()).then(
      ({ accessMode, ...found }) => this.tryWork(endsAt, accessMode, found),
      (error) => this.unusable(error),
    );
    this.report(finding);
    return finding;
  }

  private async read(): Promise<Finding & { accessMode: string }> {
    const { accessMode, unsuitable } = await this.database.readSettings();
    const migrations = (await this.database.hasPendingMigrations()) ? 'pending' : 'ok';
    const database = unsuitable.length > 0 ? 'unsuitable' : 'ok';
    return { accessMode, checks: { ...ALL_OK, database, migrations }, reason: unsuitable.join() || undefined };
  }

  /** A database that is not migrated has nothing to decrypt, and no table to write to. */
  private async tryWork(endsAt: number, accessMode: string, found: Finding): Promise<Finding> {
    const isTried =
      this.clock.monotonicMs() - this.tried.at < TRIAL_INTERVAL_MS && accessMode === this.tried.accessMode;
    if (isTried || found.checks.database !== 'ok' || found.checks.migrations !== 'ok') return found;
    try {
      const isKeyValid = await this.limited(endsAt, this.encryptionKey.isValid());
      if (!isKeyValid) return { ...found, checks: { ...found.checks, encryption_key: 'wrong' } };
    } catch (error) {
      return this.unusable(error);
    }
    try {
      await this.limited(
        endsAt,
        this.writing.run('write', () => this.database.write()),
      );
    } catch (error) {
      const { failure, code } = this.database.failureOf(error);
      // It can be read, so a write that fails or does not end means that it accepts none.
      const database = failure === 'unreachable' ? 'read_only' : failure;
      return { checks: { ...found.checks, database }, reason: code };
    }
    this.tried = { at: this.clock.monotonicMs(), accessMode };
    return found;
  }

  private unusable(error: unknown): Finding {
    const { failure, code } = this.database.failureOf(error);
    return { checks: { database: failure, migrations: 'unreachable', encryption_key: 'unreachable' }, reason: code };
  }

  private async limited<T>(endsAt: number, work: Promise<T>): Promise<T> {
    const timeoutMs = Math.max(0, endsAt - this.clock.monotonicMs());
    const onTimeout = () => Object.assign(new Error('the check timed out'), { code: 'ETIMEDOUT' });
    return withTimeout(work, { clock: this.clock, timeoutMs, onTimeout });
  }

  private report({ checks, reason }: Finding): void {
    const isChanged = Object.keys(checks).some(
      (name) => checks[name as keyof Checks] !== this.reported[name as keyof Checks],
    );
    if (!isChanged) return;
    this.reported = checks;
    const mustAct = ['denied', 'full', 'unsuitable'].includes(checks.database) || checks.encryption_key === 'wrong';
    const isReady = Object.values(checks).every((check) => check === 'ok');
    const event = 'readiness.changed';
    this.logger[mustAct ? 'error' : isReady ? 'info' : 'warn']({ event, ...checks, reason }, event);
  }
}
