import { DatabaseState } from './database-link.ts';
import type { Replica } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * How the provider fails. `away`: refuses connections. `unavailable`: 503. `hanging`: no answer. `slow`: some answers come
 * too late. `lying`: answers `invalid_grant` to good tokens, as Intuit says that it may.
 */
export type OutageKind = 'away' | 'unavailable' | 'hanging' | 'slow' | 'lying';

/** A misfortune that waits for the next refresh and strikes in the middle of it. */
export type Mishap =
  | { kind: 'answer lost' | 'crash before the call' | 'crash before the save' }
  | { kind: 'database away' | 'replica cut off'; milliseconds: number };

/** What every replica meets: how the provider and the database are, and what waits for the next refresh. */
export class Conditions {
  readonly database = new DatabaseState();
  private outage: { kind: OutageKind; until: number } | undefined;
  private readonly mishaps: Mishap[] = [];

  constructor(
    private readonly time: VirtualTime,
    /** Ends a process where it stands. */
    private readonly crash: (replica: Replica) => void,
  ) {}

  get outageKind(): OutageKind | undefined {
    return this.outage && this.time.now < this.outage.until ? this.outage.kind : undefined;
  }

  beginOutage(kind: OutageKind, until: number): void {
    this.outage = { kind, until };
  }

  beginDatabaseOutage(until: number): void {
    this.database.awayUntil = Math.max(this.database.awayUntil, until);
  }

  await(mishap: Mishap): void {
    this.mishaps.push(mishap);
  }

  /** Strikes before the call, if that is what waits. */
  strikeBefore(replica: Replica): void {
    if (this.take(({ kind }) => kind === 'crash before the call')) this.crash(replica);
  }

  /** Strikes once the provider has rotated the token. Answers whether its answer is lost. */
  strikeAfter(replica: Replica): boolean {
    const mishap = this.take(({ kind }) => kind !== 'crash before the call');
    if (mishap?.kind === 'crash before the save') this.crash(replica);
    if (mishap?.kind === 'database away') this.beginDatabaseOutage(this.time.now + mishap.milliseconds);
    if (mishap?.kind === 'replica cut off') replica.cutOffUntil = this.time.now + mishap.milliseconds;
    return mishap?.kind === 'answer lost';
  }

  private take(fits: (mishap: Mishap) => boolean): Mishap | undefined {
    const index = this.mishaps.findIndex(fits);
    return index < 0 ? undefined : this.mishaps.splice(index, 1)[0];
  }
}
