import type { Random } from './random.ts';
import { SECOND, type VirtualTime } from './virtual-time.ts';

const MAX_CLOCK_OFFSET_MS = 60 * SECOND;

/** One node of the database's cluster: it has its own clock, and may apply nothing for a while. */
export class DatabaseNode {
  /** How far its clock is ahead, in milliseconds. */
  readonly clockOffsetMs: number;
  /** Until then its reads without causality see the rows of an earlier instant. */
  lagsUntil = 0;
  private readonly time: VirtualTime;

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.clockOffsetMs = Math.round(random.uniform(-MAX_CLOCK_OFFSET_MS, MAX_CLOCK_OFFSET_MS));
  }

  get isLagging(): boolean {
    return this.time.now < this.lagsUntil;
  }
}
