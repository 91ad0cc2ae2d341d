import type { Stored } from './handler.ts';
import type { Provider } from './provider.ts';
import { judge, type Verdict } from './verdict.ts';
import { HOUR, type VirtualTime } from './virtual-time.ts';

/** How much of each connection's history is kept. */
const NOTES = 60;
/** A false refusal is found out within this time, unless the connection ended meanwhile. */
const RECOVERY_MS = 25 * HOUR;

/** A connection that was given up. */
export interface Loss {
  organizationId: string;
  at: number;
  reason: string | undefined;
  stored: Stored;
  verdict: Verdict;
  history: string[];
}

/** Counts what happens, and judges each loss by the provider's truth. */
export class Ledger {
  tokenCalls = 0;
  refreshes = 0;
  answered = 0;
  failed = 0;
  connectedMs = 0;
  /** Connections given up while they were alive, and taken up again by themselves. */
  recoveries = 0;
  readonly losses: Loss[] = [];
  /** What the service logged as errors: faults of its own. */
  readonly errors: string[] = [];
  /** Told when a connection is lost or taken up again. */
  onChange: (organizationId: string, isConnected: boolean) => void = () => undefined;
  private readonly open = new Map<string, Loss>();
  private readonly notes = new Map<string, string[]>();

  constructor(
    private readonly time: VirtualTime,
    private readonly provider: Provider,
    private readonly read: (organizationId: string) => Promise<Stored | undefined>,
  ) {}

  note(organizationId: string | undefined, text: string): void {
    if (organizationId === undefined) return;
    const notes = this.notes.get(organizationId) ?? [];
    if (notes.push(`${new Date(this.time.now).toISOString()} ${text}`) > NOTES) notes.shift();
    this.notes.set(organizationId, notes);
  }

  lost(organizationId: string, reason: string | undefined): void {
    this.time.after(0, async () => {
      const stored = await this.read(organizationId);
      if (!stored || stored.isActive || this.open.has(organizationId)) return;
      this.open.set(organizationId, this.lossOf(organizationId, reason, stored));
      this.onChange(organizationId, false);
    });
  }

  recovered(organizationId: string): void {
    const loss = this.open.get(organizationId);
    if (!loss) return;
    this.open.delete(organizationId);
    if (loss.verdict.isAlive) this.recoveries += 1;
    this.onChange(organizationId, true);
  }

  /** A person replaces or ends the connection, or the run is over: a loss until now is one for good. */
  settle(organizationId: string): void {
    const loss = this.open.get(organizationId);
    if (!loss) return;
    this.open.delete(organizationId);
    const end = this.provider.familyOf(loss.stored.refreshToken)?.ended;
    const isMeanwhile = end && end.why !== 'new consent' && end.at < loss.at + RECOVERY_MS;
    if (loss.verdict.isAlive && isMeanwhile) {
      // It was given up for a false refusal, and came to its end before it could be taken up again.
      const { cause } = judge(this.provider, loss.stored, end.at);
      loss.verdict = { ...loss.verdict, cause, rightReasons: ['authorization_revoked', 'rotation_lost'] };
    }
    loss.history = [...(this.notes.get(organizationId) ?? [])];
    this.losses.push(loss);
  }

  /** At the end: a connection that is thought alive and is dead, though it could have been kept, is lost as well. */
  async audit(organizationId: string): Promise<void> {
    this.settle(organizationId);
    const stored = await this.read(organizationId);
    if (!stored?.isActive || this.provider.accepts(stored.refreshToken)) return;
    const loss = this.lossOf(organizationId, undefined, stored);
    if (loss.verdict.cause !== 'could have been kept') return; // nobody has asked yet
    loss.history = [...(this.notes.get(organizationId) ?? [])];
    this.losses.push(loss);
  }

  private lossOf(organizationId: string, reason: string | undefined, stored: Stored): Loss {
    const verdict = judge(this.provider, stored, this.time.now);
    this.note(organizationId, `lost: ${verdict.cause} (${verdict.explanation})`);
    return { organizationId, at: this.time.now, reason, stored, verdict, history: [] };
  }
}
