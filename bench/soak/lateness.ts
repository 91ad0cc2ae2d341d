const INTERVAL_MS = 5;

/** How late this process handles its input: longer after its event loop had no turn for a while. */
export class Lateness {
  private previousTurnAt = performance.now();
  private latestTurnAt = performance.now();

  constructor() {
    setInterval(() => {
      this.previousTurnAt = this.latestTurnAt;
      this.latestTurnAt = performance.now();
    }, INTERVAL_MS).unref();
  }

  /** Milliseconds since input that is handled now can have arrived. Timers can be served before input, so two turns count. */
  get ms(): number {
    return performance.now() - this.previousTurnAt;
  }
}
