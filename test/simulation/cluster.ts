import { DatabaseNode } from './database-node.ts';
import type { Implementation, Instance } from './implementation.ts';
import type { Random } from './random.ts';
import { Replica } from './replica.ts';
import { MINUTE, SECOND, type VirtualTime } from './virtual-time.ts';

/** The service's own limit for a shutdown. */
const SHUTDOWN_TIMEOUT_MS = 14 * SECOND;
const DATABASE_NODES = 3;

interface Process {
  replica: Replica;
  instance: Instance;
  /** What a shutdown waits for. */
  running: Set<Promise<unknown>>;
  isRunningJobs: boolean;
}

interface ClusterOptions {
  time: VirtualTime;
  random: Random;
  implementation: Implementation;
  replicas: number;
}

/** The replicas of an implementation behind a load balancer. */
export class Cluster {
  private readonly time: VirtualTime;
  private readonly random: Random;
  private readonly implementation: Implementation;
  /** A slot is empty while its process is down. */
  private readonly slots: (Process | undefined)[];
  private readonly nodes: DatabaseNode[];
  private started = 0;

  constructor({ time, random, implementation, replicas }: ClusterOptions) {
    this.time = time;
    this.random = random;
    this.implementation = implementation;
    this.slots = Array.from({ length: replicas });
    this.nodes = Array.from(
      { length: DATABASE_NODES },
      (_, node) => new DatabaseNode(time, random.fork(`node ${node}`)),
    );
    for (let slot = 0; slot < replicas; slot += 1) this.start(slot);
  }

  /** Sends a request to a random process. Rejects if there is none, and never settles if the process ends. */
  async send<T>(request: (instance: Instance) => Promise<T>): Promise<T> {
    const available = this.slots.filter((process) => process !== undefined && !process.replica.isStopping);
    if (available.length === 0) throw new Error('no process is available');
    const { instance, running } = this.random.pick(available as Process[]);
    const response = request(instance);
    running.add(response);
    return response.finally(() => running.delete(response));
  }

  /** Runs the background jobs of all processes at nearly the same time. */
  runJobs(): void {
    for (const process of this.slots) {
      if (process) this.time.after(this.random.uniform(0, 2_000), () => this.runJobsOf(process));
    }
  }

  /** Runs them in one process, if there is anything to do. */
  async runDueJobs(): Promise<void> {
    if (!(await this.implementation.hasDueJobs())) return;
    const running = this.slots.filter((process) => process !== undefined);
    if (running.length > 0) await this.runJobsOf(this.random.pick(running));
  }

  crash(replica: Replica): void {
    const slot = this.slots.findIndex((process) => process?.replica === replica);
    if (slot >= 0) this.end(slot, this.random.uniform(5 * SECOND, MINUTE));
  }

  crashRandom(): void {
    this.end(Math.floor(this.random.next() * this.slots.length), this.random.uniform(5 * SECOND, MINUTE));
  }

  /** Pauses a process, like SIGSTOP. */
  pauseRandom(milliseconds: number): void {
    this.slots[Math.floor(this.random.next() * this.slots.length)]?.replica.pause(milliseconds);
  }

  /** One node of the database applies nothing for a while. */
  async lagRandomNode(milliseconds: number): Promise<void> {
    if (this.nodes.some(({ isLagging }) => isLagging)) return;
    const node = this.random.pick(this.nodes);
    node.lagsUntil = this.time.now + milliseconds;
    await this.implementation.beginLag();
  }

  /** Replaces the processes one after the other. */
  async deploy(): Promise<void> {
    for (const [slot, process] of this.slots.entries()) {
      if (!process) continue;
      process.replica.isStopping = true;
      const stopped = process.instance.stop().then(() => Promise.allSettled(process.running));
      await Promise.race([stopped, this.time.sleep(SHUTDOWN_TIMEOUT_MS)]);
      if (this.slots[slot] === process) this.end(slot, this.random.uniform(SECOND, 20 * SECOND));
      await this.time.sleep(30 * SECOND);
    }
  }

  /** Ends the run. */
  endAll(): void {
    for (const process of this.slots) if (process) process.replica.hasEnded = true;
  }

  private start(slot: number): void {
    const { time, random } = this;
    this.started += 1;
    const name = `process ${this.started}`;
    const maxSkewMs = random.chance(0.1) ? 5 * MINUTE : MINUTE;
    const skewMs = Math.round(random.uniform(-maxSkewMs, maxSkewMs));
    const replica = new Replica({ name, time, random: random.fork(name), skewMs, node: random.pick(this.nodes) });
    const instance = this.implementation.startProcess(replica);
    this.slots[slot] = { replica, instance, running: new Set(), isRunningJobs: false };
  }

  private end(slot: number, downMs: number): void {
    const process = this.slots[slot];
    if (!process) return;
    process.replica.hasEnded = true;
    this.slots[slot] = undefined;
    this.time.after(downMs, () => this.start(slot));
  }

  private async runJobsOf(process: Process): Promise<void> {
    if (process.isRunningJobs || process.replica.isStopping || process.replica.hasEnded) return;
    process.isRunningJobs = true;
    const run = process.instance.runJobs().finally(() => {
      process.isRunningJobs = false;
      process.running.delete(run);
    });
    process.running.add(run);
    await run;
  }
}
