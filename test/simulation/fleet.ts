import type { Handler, Instance } from './handler.ts';
import type { Random } from './random.ts';
import { Replica } from './replica.ts';
import { MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

/** As the service's own limit for a stop. */
const LONGEST_STOP_MS = 14 * SECOND;

interface Process {
  replica: Replica;
  instance: Instance;
  /** What a graceful stop waits for. */
  running: Set<Promise<unknown>>;
  isWorking: boolean;
}

/** The replicas of a handler: started, crashed, deployed, and asked one like the other. */
export class Fleet {
  private readonly processes: (Process | undefined)[];
  private started = 0;

  constructor(
    private readonly time: VirtualTime,
    private readonly random: Random,
    private readonly handler: Handler,
    size: number,
  ) {
    this.processes = Array.from({ length: size });
    for (let slot = 0; slot < size; slot += 1) this.start(slot);
  }

  /** Some process does it. @throws Error where none runs; never ends where the process does. */
  async ask<T>(work: (instance: Instance) => Promise<T>): Promise<T> {
    const able = this.processes.filter((process) => process && !process.replica.isStopping) as Process[];
    if (able.length === 0) throw new Error('no process runs');
    const { instance, running } = this.random.pick(able);
    const promise = work(instance);
    running.add(promise);
    return promise.finally(() => running.delete(promise));
  }

  /** One round of each process's worker, all at nearly the same time: they share the work. */
  beat(): void {
    for (const process of this.processes) {
      if (process) this.time.after(this.random.between(0, 2_000), () => this.work(process));
    }
  }

  crash(replica: Replica): void {
    const slot = this.processes.findIndex((process) => process?.replica === replica);
    if (slot >= 0) this.end(slot, this.random.between(5 * SECOND, MINUTE));
  }

  crashAny(): void {
    this.end(Math.floor(this.random.next() * this.processes.length), this.random.between(5 * SECOND, MINUTE));
  }

  /** One after the other is stopped and replaced. */
  async deploy(): Promise<void> {
    for (const [slot, process] of this.processes.entries()) {
      if (!process) continue;
      process.replica.isStopping = true;
      const stopped = process.instance.stop().then(() => Promise.allSettled(process.running));
      await Promise.race([stopped, this.time.sleep(LONGEST_STOP_MS)]);
      if (this.processes[slot] === process) this.end(slot, this.random.between(SECOND, 20 * SECOND));
      await this.time.sleep(30 * SECOND);
    }
  }

  /** Nothing goes on. */
  endAll(): void {
    for (const process of this.processes) if (process) process.replica.isGone = true;
  }

  private start(slot: number): void {
    this.started += 1;
    const widest = this.random.chance(0.1) ? 5 * MINUTE : MINUTE;
    const skewMs = Math.round(this.random.between(-widest, widest));
    const replica = new Replica(`process ${this.started}`, this.time, skewMs);
    this.processes[slot] = { replica, instance: this.handler.start(replica), running: new Set(), isWorking: false };
  }

  private end(slot: number, downMs: number): void {
    const process = this.processes[slot];
    if (!process) return;
    process.replica.isGone = true;
    this.processes[slot] = undefined;
    this.time.after(downMs, () => this.start(slot));
  }

  private async work(process: Process): Promise<void> {
    if (process.isWorking || process.replica.isStopping || process.replica.isGone) return;
    process.isWorking = true;
    const round = process.instance.work().finally(() => {
      process.isWorking = false;
      process.running.delete(round);
    });
    process.running.add(round);
    await round;
  }
}
