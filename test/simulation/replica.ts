import type { Clock } from '../../src/utils/clock.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** The timeout of a database connection, and the pause after it. */
const RECONNECT_MS = 3_500;

interface ReplicaOptions {
  name: string;
  time: VirtualTime;
  random: Random;
  /** How far the wall clock is ahead, in milliseconds. */
  skewMs: number;
}

/** One process with its own clock, until it crashes or is replaced. */
export class Replica {
  readonly name: string;
  readonly clock: Clock;
  hasEnded = false;
  /** True if the process accepts no more requests. */
  isStopping = false;
  /** Until then this replica alone cannot reach the database. */
  partitionedUntil = 0;
  private readonly time: VirtualTime;

  constructor({ name, time, random, skewMs }: ReplicaOptions) {
    this.name = name;
    this.time = time;
    this.clock = time.clock(
      () => new Date(Math.floor(time.now + skewMs)),
      () => random.next(),
    );
  }

  get isPartitioned(): boolean {
    return this.time.now < this.partitionedUntil;
  }

  /** True while partitioned, and until an attempt that began before has timed out and was repeated. */
  get isReconnecting(): boolean {
    return this.time.now < this.partitionedUntil + RECONNECT_MS;
  }

  /** Never resolves if the process has ended. Every response from outside the process passes through here. */
  async whileRunning(): Promise<void> {
    if (this.hasEnded) await new Promise<never>(() => undefined);
  }
}
