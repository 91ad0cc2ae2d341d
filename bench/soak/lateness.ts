import { subscribe } from 'node:diagnostics_channel';

const INTERVAL_MS = 5;
/** A connection is accepted in one turn of the event loop, read in the next, and its request handled in a later one. */
const TURNS = 4;

/** How late this process handles its input. */
export class Lateness {
  /** When the latest turns of the event loop began, the earliest first. */
  private readonly turns = new Array<number>(TURNS).fill(performance.now());
  private hasAccepted = false;

  constructor() {
    subscribe('net.server.socket', () => {
      this.hasAccepted = true;
    });
    setInterval(() => this.beginTurn(), INTERVAL_MS).unref();
  }

  /** Milliseconds since the earliest time at which input that is handled now can have arrived. */
  get ms(): number {
    return performance.now() - (this.turns[0] as number);
  }

  /** After a turn that accepted a connection, more may wait since before it: Node.js accepts one per turn. */
  private beginTurn(): void {
    if (!this.hasAccepted) {
      this.turns.shift();
      this.turns.push(performance.now());
    }
    this.hasAccepted = false;
  }
}
