const INTERVAL_MS = 5;
/** A longer time between two turns of the event loop is a stall. */
const STALL_MS = 20;
/** Calls that arrived during a stall are all handled by then: connections are accepted first, and read in later turns. */
const CATCH_UP_MS = 100;

/** How late this process handles its input: longer during and after a stall of its event loop. */
export class Lateness {
  private latestTurnAt = performance.now();
  private stall = { startedAt: Number.NEGATIVE_INFINITY, endedAt: Number.NEGATIVE_INFINITY };

  constructor() {
    setInterval(() => this.turn(), INTERVAL_MS).unref();
  }

  /** Milliseconds since the earliest time at which input that is handled now can have arrived. */
  get ms(): number {
    const now = performance.now();
    this.turn();
    const isCatchingUp = now - this.stall.endedAt < CATCH_UP_MS;
    return isCatchingUp ? now - this.stall.startedAt : STALL_MS;
  }

  private turn(): void {
    const now = performance.now();
    const { startedAt, endedAt } = this.stall;
    if (now - this.latestTurnAt > STALL_MS) {
      // A stall that follows another one before all was handled prolongs it.
      const isProlonged = this.latestTurnAt - endedAt < CATCH_UP_MS;
      this.stall = { startedAt: isProlonged ? startedAt : this.latestTurnAt, endedAt: now };
    }
    this.latestTurnAt = now;
  }
}
