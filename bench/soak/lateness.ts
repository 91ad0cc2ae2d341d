const INTERVAL_MS = 5;
/** A connection is accepted in one turn of the event loop, read in the next, and its request handled in a later one. */
const TURNS = 4;

/** How late this process handles its input. */
export class Lateness {
  /** When the latest turns of the event loop began, the earliest first. */
  private readonly turns = new Array<number>(TURNS).fill(performance.now());

  constructor() {
    setInterval(() => {
      this.turns.shift();
      this.turns.push(performance.now());
    }, INTERVAL_MS).unref();
  }

  /** Milliseconds since the earliest time at which input that is handled now can have arrived. */
  get ms(): number {
    return performance.now() - (this.turns[0] as number);
  }
}
