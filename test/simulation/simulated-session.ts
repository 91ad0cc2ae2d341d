import type { Knex } from 'knex';
import { Session } from '../../src/db/session.ts';
import type { DatabaseConnection } from './database-connection.ts';
import type { Environment } from './implementation.ts';
import type { LaggingCopy } from './lagging-copy.ts';
import type { Replica } from './replica.ts';

interface SimulatedSessionOptions {
  knex: Knex;
  laggingCopy: LaggingCopy;
  environment: Environment;
  replica: Replica;
  connection: DatabaseConnection;
  /** Called after each transaction that was committed. */
  onCommit: () => Promise<void>;
}

/** The service's session in virtual time, on one node of the database: its clock, and its lag for reads that decide nothing. */
export class SimulatedSession extends Session {
  private readonly options: SimulatedSessionOptions;

  constructor(options: SimulatedSessionOptions) {
    super({ knex: options.knex, dialect: 'sqlite', clock: options.replica.clock });
    this.options = options;
  }

  override async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.execute(() => super.query(statement));
  }

  override async read<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    const { replica, laggingCopy, environment } = this.options;
    const { node } = replica;
    const work = async () => {
      if (!node.isLagging) return super.read(statement);
      environment.recorder.count('reads from a lagging node');
      return super.read(() => statement(laggingCopy.knex));
    };
    return this.execute(work, { isCausal: false });
  }

  override async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    return this.execute(async () => {
      const result = await super.transaction(work);
      await this.options.onCommit();
      return result;
    });
  }

  override databaseNow(aheadMs = 0): Knex.Raw {
    const { environment, replica } = this.options;
    const now = Math.floor(environment.time.now) + replica.node.clockOffsetMs;
    return this.knex.raw('CAST(? AS INTEGER)', [now + aheadMs]);
  }

  /** The session handles a lost connection like any error of the driver. */
  private async execute<T>(work: () => Promise<T>, { isCausal = true } = {}): Promise<T> {
    const { connection, environment } = this.options;
    await super.query(() => connection.send({ isCausal }));
    const result = await environment.time.pauseDuring(work());
    await super.query(() => connection.receive());
    return result;
  }
}
