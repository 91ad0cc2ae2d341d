import type { Clock } from '../../src/utils/clock.ts';
import type { DatabaseNode } from './database-node.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** The timeout of a database connection, and the pause after it. */
const RECONNECT_MS = 3_500;
/** What a process that continues needs at most to send what it had received. */
const RESUME_MS = 200;

interface ReplicaOptions {
  name: string;
  time: VirtualTime;
  random: Random;
  /** How far the wall clock is ahead, in milliseconds. */
  skewMs: number;
  /** The node of the database that it is connected to. */
  node: DatabaseNode;
}

/** One process with its own clock, until it crashes or is replaced. */
export class Replica {
  readonly name: string;
  readonly clock: Clock;
  readonly node: DatabaseNode;
  hasEnded = false;
  /** True if the process accepts no more requests. */
  isStopping = false;
  /** Until then this replica alone cannot reach the database. */
  partitionedUntil = 0;
  /** Until then it does nothing, like a process that received SIGSTOP. */
  pausedUntil = 0;
  private readonly time: VirtualTime;

  constructor({ name, time, random, skewMs, node }: ReplicaOptions) {
    this.name = name;
    this.time = time;
    this.node = node;
    this.clock = time.clock({
      now: () => new Date(Math.floor(time.now + skewMs)),
      random: () => random.next(),
      whenRunning: (action) => this.whenRunning(action),
    });
  }

  get isPartitioned(): boolean {
    return this.time.now < this.partitionedUntil;
  }

  /** True while partitioned, and until an attempt that began before has timed out and was repeated. */
  get isReconnecting(): boolean {
    return this.time.now < this.partitionedUntil + RECONNECT_MS;
  }

  /** True while paused, and until it can have sent what it had received. */
  get isResuming(): boolean {
    return this.time.now < this.pausedUntil + RESUME_MS;
  }

  /** True while its node lags, and until a save that waited for it was repeated. */
  get isWaitingForNode(): boolean {
    return this.time.now < this.node.lagsUntil + RECONNECT_MS;
  }

  pause(milliseconds: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, this.time.now + milliseconds);
  }

  /**
   * Waits while the process is paused, and never resolves if it has ended. Everything that the process sends and receives
   * passes through here.
   */
  async whileRunning(): Promise<void> {
    while (this.isPaused) await this.time.sleep(this.pausedUntil - this.time.now);
    if (this.hasEnded) await new Promise<never>(() => undefined);
  }

  private get isPaused(): boolean {
    return this.time.now < this.pausedUntil;
  }

  private whenRunning(action: () => unknown): void {
    if (this.isPaused) this.time.at(this.pausedUntil, () => this.whenRunning(action));
    else action();
  }
}
