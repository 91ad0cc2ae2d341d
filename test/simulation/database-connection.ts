import type { Environment } from './implementation.ts';
import type { Replica } from './replica.ts';
import { SECOND } from './virtual-time.ts';

/** How often a statement is executed and its result is lost. */
const RESULT_LOST = 1 / 20_000;
/** How often the process is paused just before it sends a statement, or before it reads the result. */
const PAUSED = 1 / 10_000;
const PAUSE_MS = { min: SECOND, max: 40 * SECOND };
const CONNECT_TIMEOUT_MS = 3 * SECOND;
/** How long a causal statement waits for a node that lags. */
const CAUSALITY_TIMEOUT_MS = 5 * SECOND;

/** What a driver throws if the database cannot be reached. */
export class ConnectionLostError extends Error {
  readonly code = 'ECONNRESET';
}

/** One replica's connection to its node. It takes time, and fails during an outage or a partition. */
export class DatabaseConnection {
  private readonly environment: Environment;
  private readonly replica: Replica;

  constructor(environment: Environment, replica: Replica) {
    this.environment = environment;
    this.replica = replica;
  }

  /** Sends a statement. A causal one waits until the node has caught up. @throws ConnectionLostError */
  async send({ isCausal = true } = {}): Promise<void> {
    const { time, random, faults } = this.environment;
    await this.mayPause();
    await time.sleep(random.uniform(0.5, 8));
    if (isCausal) await this.waitForCausality();
    if (this.replica.hasEnded) await this.replica.whileRunning();
    if (time.now >= faults.databaseOutageEndsAt && !this.replica.isPartitioned) return;
    if (random.chance(0.5)) await time.sleep(CONNECT_TIMEOUT_MS); // it hangs instead of refusing
    await this.replica.whileRunning();
    throw new ConnectionLostError();
  }

  /** Receives the result of a statement that was executed. @throws ConnectionLostError */
  async receive(): Promise<void> {
    await this.mayPause();
    if (this.environment.random.chance(RESULT_LOST)) throw new ConnectionLostError();
  }

  private async mayPause(): Promise<void> {
    const { random, recorder } = this.environment;
    if (random.chance(PAUSED)) {
      recorder.count('pauses of a process');
      this.replica.pause(random.logUniform(PAUSE_MS.min, PAUSE_MS.max));
    }
    await this.replica.whileRunning();
  }

  private async waitForCausality(): Promise<void> {
    const { time, recorder } = this.environment;
    const { node } = this.replica;
    if (!node.isLagging) return;
    recorder.count('statements that waited for a lagging node');
    await time.sleep(Math.min(node.lagsUntil - time.now, CAUSALITY_TIMEOUT_MS));
    await this.replica.whileRunning();
    if (node.isLagging) throw new ConnectionLostError();
  }
}
