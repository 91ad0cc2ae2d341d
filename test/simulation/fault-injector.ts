import type { Replica } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * How the provider fails: it refuses connections, returns 503, does not respond, responds too late now and then, or
 * rejects valid tokens with `invalid_grant`.
 */
export type ProviderOutage = 'refusing' | 'unavailable' | 'hanging' | 'slow' | 'false_rejections';

/** A fault that occurs in the middle of the next refresh. */
export type RefreshFault =
  | { kind: 'response_lost' | 'crash_before_call' | 'crash_before_save' }
  | { kind: 'pause_before_call' | 'pause_before_save' | 'database_outage' | 'partition' | 'lag'; durationMs: number };

interface Effects {
  crash: (replica: Replica) => void;
  /** Makes one node of the database lag. */
  lag: (milliseconds: number) => void;
}

/** The current outages, and the faults that wait for the next refresh. */
export class FaultInjector {
  databaseOutageEndsAt = 0;
  private providerOutage: { kind: ProviderOutage; endsAt: number } | undefined;
  /** Oldest first: when the provider accepted no valid token, or not every one. */
  private readonly outages: { from: number; until: number }[] = [];
  private readonly refreshFaults: RefreshFault[] = [];
  private readonly time: VirtualTime;
  private readonly effects: Effects;

  constructor(time: VirtualTime, effects: Effects) {
    this.time = time;
    this.effects = effects;
  }

  get outage(): ProviderOutage | undefined {
    return this.providerOutage && this.time.now < this.providerOutage.endsAt ? this.providerOutage.kind : undefined;
  }

  startProviderOutage(kind: ProviderOutage, endsAt: number): void {
    const { now } = this.time;
    const replaced = this.outages.at(-1);
    if (replaced) replaced.until = Math.min(replaced.until, now);
    if (kind !== 'slow') this.outages.push({ from: now, until: endsAt });
    this.providerOutage = { kind, endsAt };
  }

  /** The longest time without an outage of the provider since an instant, in milliseconds. */
  longestServiceSince(instant: number): number {
    let longest = 0;
    let from = instant;
    for (const outage of this.outages) {
      longest = Math.max(longest, outage.from - from);
      from = Math.max(from, outage.until);
    }
    return Math.max(longest, this.time.now - from);
  }

  startDatabaseOutage(endsAt: number): void {
    this.databaseOutageEndsAt = Math.max(this.databaseOutageEndsAt, endsAt);
  }

  armRefreshFault(fault: RefreshFault): void {
    this.refreshFaults.push(fault);
  }

  beforeRefresh(replica: Replica): void {
    const fault = this.takeFault(isBeforeCall);
    if (fault?.kind === 'crash_before_call') this.effects.crash(replica);
    if (fault?.kind === 'pause_before_call') replica.pause(fault.durationMs);
  }

  /** Called once the provider has rotated a token. Returns true if its response is lost. */
  afterRotation(replica: Replica): boolean {
    const fault = this.takeFault((waiting) => !isBeforeCall(waiting));
    if (fault?.kind === 'crash_before_save') this.effects.crash(replica);
    if (fault?.kind === 'pause_before_save') replica.pause(fault.durationMs);
    if (fault?.kind === 'lag') this.effects.lag(fault.durationMs);
    if (fault?.kind === 'database_outage') this.startDatabaseOutage(this.time.now + fault.durationMs);
    if (fault?.kind === 'partition') replica.partitionedUntil = this.time.now + fault.durationMs;
    return fault?.kind === 'response_lost';
  }

  private takeFault(matches: (fault: RefreshFault) => boolean): RefreshFault | undefined {
    const index = this.refreshFaults.findIndex(matches);
    return index < 0 ? undefined : this.refreshFaults.splice(index, 1)[0];
  }
}

function isBeforeCall({ kind }: RefreshFault): boolean {
  return kind === 'crash_before_call' || kind === 'pause_before_call';
}
