import type { Environment } from './implementation.ts';
import type { Replica } from './replica.ts';
import { SECOND } from './virtual-time.ts';

/** How often a statement is executed and its result is lost. */
const RESULT_LOST = 1 / 20_000;
const CONNECT_TIMEOUT_MS = 3 * SECOND;

/** What a driver throws if the database cannot be reached. */
export class ConnectionLostError extends Error {
  readonly code = 'ECONNRESET';
}

/** One replica's connection to the database. It takes time, and fails during an outage or a partition. */
export class DatabaseConnection {
  private readonly environment: Environment;
  private readonly replica: Replica;

  constructor(environment: Environment, replica: Replica) {
    this.environment = environment;
    this.replica = replica;
  }

  /** Sends a statement. @throws ConnectionLostError */
  async send(): Promise<void> {
    const { time, random, faults } = this.environment;
    await time.sleep(random.uniform(0.5, 8));
    await this.replica.whileRunning();
    if (time.now >= faults.databaseOutageEndsAt && !this.replica.isPartitioned) return;
    if (random.chance(0.5)) await time.sleep(CONNECT_TIMEOUT_MS); // it hangs instead of refusing
    await this.replica.whileRunning();
    throw new ConnectionLostError();
  }

  /** Receives the result of a statement that was executed. @throws ConnectionLostError */
  async receive(): Promise<void> {
    await this.replica.whileRunning();
    if (this.environment.random.chance(RESULT_LOST)) throw new ConnectionLostError();
  }
}
