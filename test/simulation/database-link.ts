import type { Random } from './random.ts';
import type { Replica } from './replica.ts';
import { SECOND, type VirtualTime } from './virtual-time.ts';

/** How often a statement is done and its answer does not come. */
const ANSWER_LOST = 1 / 20_000;
const CONNECT_TIMEOUT_MS = 3 * SECOND;

/** What a driver throws where the database cannot be reached. */
export class ConnectionLost extends Error {
  readonly code = 'ECONNRESET';
}

/** The database that all replicas share, as it is now. */
export class DatabaseState {
  awayUntil = 0;
}

/** One replica's way to the database: takes time, and fails while the database is away or the replica is cut off. */
export class DatabaseLink {
  constructor(
    private readonly time: VirtualTime,
    private readonly random: Random,
    private readonly database: DatabaseState,
    private readonly replica: Replica,
  ) {}

  /** The way there. @throws ConnectionLost */
  async travel(): Promise<void> {
    await this.time.sleep(this.random.between(0.5, 8));
    await this.replica.alive();
    if (!this.isAway()) return;
    if (this.random.chance(0.5)) await this.time.sleep(CONNECT_TIMEOUT_MS); // it hangs instead of refusing
    await this.replica.alive();
    throw new ConnectionLost();
  }

  /** The way back, after the statement was done. @throws ConnectionLost */
  async comeBack(): Promise<void> {
    await this.replica.alive();
    if (this.random.chance(ANSWER_LOST)) throw new ConnectionLost();
  }

  private isAway(): boolean {
    return this.time.now < this.database.awayUntil || this.replica.isCutOff;
  }
}
