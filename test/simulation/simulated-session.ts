import type { Knex } from 'knex';
import { Session } from '../../src/db/session.ts';
import type { Clock } from '../../src/utils/clock.ts';
import type { DatabaseConnection } from './database-connection.ts';
import type { VirtualTime } from './virtual-time.ts';

interface SimulatedSessionOptions {
  knex: Knex;
  time: VirtualTime;
  connection: DatabaseConnection;
  clock: Clock;
  /** Called after each transaction that was committed. */
  onCommit: () => Promise<void>;
}

/** The service's session in virtual time. The database's clock has no skew. */
export class SimulatedSession extends Session {
  private readonly time: VirtualTime;
  private readonly connection: DatabaseConnection;
  private readonly onCommit: () => Promise<void>;

  constructor({ knex, time, connection, clock, onCommit }: SimulatedSessionOptions) {
    super({ knex, dialect: 'sqlite', clock });
    this.time = time;
    this.connection = connection;
    this.onCommit = onCommit;
  }

  override async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.execute(() => super.query(statement));
  }

  override async read<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.execute(() => super.read(statement));
  }

  override async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    return this.execute(async () => {
      const result = await super.transaction(work);
      await this.onCommit();
      return result;
    });
  }

  override databaseNow(aheadMs = 0): Knex.Raw {
    return this.knex.raw('CAST(? AS INTEGER)', [Math.floor(this.time.now) + aheadMs]);
  }

  /** The session handles a lost connection like any error of the driver. */
  private async execute<T>(work: () => Promise<T>): Promise<T> {
    await super.query(() => this.connection.send());
    const result = await this.time.pauseDuring(work());
    await super.query(() => this.connection.receive());
    return result;
  }
}
