import type { Knex } from 'knex';
import { Session } from '../../src/db/session.ts';
import type { DatabaseLink } from './database-link.ts';
import type { VirtualTime } from './virtual-time.ts';

/** The service's own session, in virtual time: its statements take a way to the database, and the clock there is the true one. */
export class SimulatedSession extends Session {
  constructor(
    knex: Knex,
    private readonly time: VirtualTime,
    private readonly link: DatabaseLink,
  ) {
    super(knex, 'sqlite');
  }

  override async query<T>(statement: (db: Knex) => PromiseLike<T>): Promise<T> {
    return this.reach(() => super.query(statement));
  }

  override async transaction<T>(work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
    return this.reach(() => super.transaction(work));
  }

  override clock(aheadMs = 0): Knex.Raw {
    return this.knex.raw('CAST(? AS INTEGER)', [Math.floor(this.time.now) + aheadMs]);
  }

  /** A way that fails is a query that fails: the session makes of it what it makes of a driver's error. */
  private async reach<T>(work: () => Promise<T>): Promise<T> {
    await super.query(() => this.link.travel());
    const answer = await this.time.still(work());
    await super.query(() => this.link.comeBack());
    return answer;
  }
}
