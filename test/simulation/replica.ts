import type { VirtualTime } from './virtual-time.ts';

/** A connection's time limit, and the pause after it. */
const RECONNECT_MS = 3_500;

/** One process of the service, with its own clock, until it crashes or is replaced. */
export class Replica {
  /** Nothing that it was at goes on. */
  isGone = false;
  /** Takes no new requests. */
  isStopping = false;
  /** Until then it alone does not reach the database. */
  cutOffUntil = 0;

  constructor(
    readonly name: string,
    private readonly time: VirtualTime,
    /** How far its clock is ahead, in milliseconds. */
    readonly skewMs: number,
  ) {}

  readonly now = (): Date => new Date(Math.floor(this.time.now + this.skewMs));

  get isCutOff(): boolean {
    return this.time.now < this.cutOffUntil;
  }

  /** Cut off, or just back: a try that began before hangs still, and the next one is to come. */
  get isHardlyBack(): boolean {
    return this.time.now < this.cutOffUntil + RECONNECT_MS;
  }

  /** Every answer from outside comes through here: to a process that is gone none ever comes. */
  async alive(): Promise<void> {
    if (this.isGone) await new Promise<never>(() => undefined);
  }
}
