import type { LossReason } from '../../src/models/connection.ts';
import type { StoredConnection } from './implementation.ts';
import { type Classification, classifyLoss } from './loss-classifier.ts';
import type { Provider } from './provider.ts';
import { HOUR, type VirtualTime } from './virtual-time.ts';

/** How many lines of each connection's history are kept. */
const MAX_LINES = 60;
/**
 * A false rejection is discovered within this time unless the connection ends before: the last attempt is due after a day, and
 * late attempts keep half their distance.
 */
const RECOVERY_MS = 48 * HOUR;
/** More attempts than one in this time would burden the provider: it cannot be expected to recover in a shorter one. */
const ATTEMPT_MS = HOUR;
/** The reasons that are correct if the provider rejects a valid token. */
const REJECTION_REASONS: LossReason[] = ['authorization_revoked', 'rotation_lost'];

/** A connection that was marked as lost. */
export interface Loss {
  organizationId: string;
  at: number;
  /** The reason that the implementation recorded. */
  reason: string | undefined;
  stored: StoredConnection;
  classification: Classification;
  history: string[];
  /** When the grant had ended, if it had. */
  endedAt: number | undefined;
}

interface RecorderOptions {
  time: VirtualTime;
  provider: Provider;
  read: (organizationId: string) => Promise<StoredConnection | undefined>;
  /** The longest time without an outage of the provider since an instant, in milliseconds. */
  longestServiceSince: (instant: number) => number;
  /** Called when a connection is lost or recovered. */
  onChange: (organizationId: string, isConnected: boolean) => void;
}

/** Counts what happens in a run, and classifies each loss. */
export class Recorder {
  tokenCalls = 0;
  refreshes = 0;
  succeededRequests = 0;
  failedRequests = 0;
  connectedMs = 0;
  /** Connections that were marked as lost while the grant was alive, and then recovered. */
  recoveries = 0;
  readonly losses: Loss[] = [];
  /** Errors that the service logged. */
  readonly errors: string[] = [];
  /** How often the events occurred that the schedule does not determine alone, by name. */
  readonly counts = new Map<string, number>();
  private readonly options: RecorderOptions;
  /** Losses that may still recover. */
  private readonly pending = new Map<string, Loss>();
  private readonly histories = new Map<string, string[]>();

  constructor(options: RecorderOptions) {
    this.options = options;
  }

  /** Adds a line to a connection's history. */
  trace(organizationId: string | undefined, text: string): void {
    if (organizationId === undefined) return;
    const history = this.histories.get(organizationId) ?? [];
    if (history.push(`${new Date(this.options.time.now).toISOString()} ${text}`) > MAX_LINES) history.shift();
    this.histories.set(organizationId, history);
  }

  count(event: string): void {
    this.counts.set(event, (this.counts.get(event) ?? 0) + 1);
  }

  recordLoss(organizationId: string, reason: string | undefined): void {
    const { time, read, onChange } = this.options;
    time.after(0, async () => {
      const stored = await read(organizationId);
      if (!stored || stored.isActive || this.pending.has(organizationId)) return;
      this.pending.set(organizationId, this.createLoss(organizationId, reason, stored));
      onChange(organizationId, false);
    });
  }

  recordRecovery(organizationId: string): void {
    const loss = this.pending.get(organizationId);
    if (!loss) return;
    this.pending.delete(organizationId);
    if (loss.classification.isAlive) this.recoveries += 1;
    this.options.onChange(organizationId, true);
  }

  /**
   * A user replaces or ends the connection, or the run ends: a pending loss is final.
   * @param connectingSince when the user began to connect again
   */
  finalizeLoss(organizationId: string, connectingSince?: number): void {
    const { provider } = this.options;
    const loss = this.pending.get(organizationId);
    if (!loss) return;
    this.pending.delete(organizationId);
    const family = provider.familyOf(loss.stored.refreshToken);
    const end = family && provider.endOf(family); // its limit may have passed without a call
    const hasEndedSince = end && end.reason !== 'new consent' && end.at < loss.at + RECOVERY_MS;
    if (loss.classification.isAlive && hasEndedSince) {
      // It was lost because of a false rejection, and the grant ended before it could be recovered.
      const { cause } = classifyLoss(provider, loss.stored, end.at);
      loss.classification = { ...loss.classification, cause, expectedReasons: REJECTION_REASONS };
    } else if (loss.classification.isAlive && connectingSince !== undefined && this.isReplaced(loss, connectingSince)) {
      const cause = 'rejected falsely until the user connected again';
      loss.classification = { ...loss.classification, cause, expectedReasons: REJECTION_REASONS };
    }
    this.addLoss(loss);
  }

  /**
   * True if a user who connects again replaced the connection before it could be recovered: one whom the loss did not make
   * do so, or before the provider accepted its token again.
   */
  private isReplaced({ at }: Loss, connectingSince: number): boolean {
    const { time, longestServiceSince } = this.options;
    if (connectingSince < at && time.now < at + RECOVERY_MS) return true;
    return time.now >= at + ATTEMPT_MS && longestServiceSince(at) < ATTEMPT_MS;
  }

  /** At the end of a run: an avoidable loss that no request has revealed yet counts as well. */
  async finish(organizationId: string): Promise<void> {
    this.finalizeLoss(organizationId);
    const stored = await this.options.read(organizationId);
    if (!stored?.isActive || this.options.provider.acceptsRefreshToken(stored.refreshToken)) return;
    const loss = this.createLoss(organizationId, undefined, stored);
    if (loss.classification.cause === 'avoidable') this.addLoss(loss);
  }

  private addLoss(loss: Loss): void {
    this.losses.push({ ...loss, history: [...(this.histories.get(loss.organizationId) ?? [])] });
  }

  private createLoss(organizationId: string, reason: string | undefined, stored: StoredConnection): Loss {
    const { now } = this.options.time;
    const classification = classifyLoss(this.options.provider, stored, now);
    this.trace(organizationId, `lost: ${classification.cause} (${classification.explanation})`);
    const endedAt = this.options.provider.familyOf(stored.refreshToken)?.end?.at;
    return { organizationId, at: now, reason, stored, classification, history: [], endedAt };
  }
}
