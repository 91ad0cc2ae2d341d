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
  | { kind: 'database_outage' | 'partition'; durationMs: number };

/** The current outages, and the faults that wait for the next refresh. */
export class FaultInjector {
  databaseOutageEndsAt = 0;
  private providerOutage: { kind: ProviderOutage; endsAt: number } | undefined;
  private readonly refreshFaults: RefreshFault[] = [];
  private readonly time: VirtualTime;
  private readonly crash: (replica: Replica) => void;

  constructor(time: VirtualTime, crash: (replica: Replica) => void) {
    this.time = time;
    this.crash = crash;
  }

  get outage(): ProviderOutage | undefined {
    return this.providerOutage && this.time.now < this.providerOutage.endsAt ? this.providerOutage.kind : undefined;
  }

  startProviderOutage(kind: ProviderOutage, endsAt: number): void {
    this.providerOutage = { kind, endsAt };
  }

  startDatabaseOutage(endsAt: number): void {
    this.databaseOutageEndsAt = Math.max(this.databaseOutageEndsAt, endsAt);
  }

  armRefreshFault(fault: RefreshFault): void {
    this.refreshFaults.push(fault);
  }

  beforeRefresh(replica: Replica): void {
    if (this.takeFault(({ kind }) => kind === 'crash_before_call')) this.crash(replica);
  }

  /** Called once the provider has rotated a token. Returns true if its response is lost. */
  afterRotation(replica: Replica): boolean {
    const fault = this.takeFault(({ kind }) => kind !== 'crash_before_call');
    if (fault?.kind === 'crash_before_save') this.crash(replica);
    if (fault?.kind === 'database_outage') this.startDatabaseOutage(this.time.now + fault.durationMs);
    if (fault?.kind === 'partition') replica.partitionedUntil = this.time.now + fault.durationMs;
    return fault?.kind === 'response_lost';
  }

  private takeFault(matches: (fault: RefreshFault) => boolean): RefreshFault | undefined {
    const index = this.refreshFaults.findIndex(matches);
    return index < 0 ? undefined : this.refreshFaults.splice(index, 1)[0];
  }
}
