import { afterAll, beforeAll, expect, it } from '@jest/globals';
import knex, { type Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { knexConfig } from '../../src/db/knex-config.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';
import { until } from '../support/until.ts';

/** Is executed for twelve seconds. A server notices after five seconds of one SLEEP that its caller is gone. */
const LONG_STATEMENT = Array(3).fill('SELECT SLEEP(4)').join(' UNION ALL ');

/** SQLite has no statements that go on without their caller. */
describeEachDatabase('statements that were given up', (createDatabase, kind) => {
  if (kind === 'SQLite') return;
  let database: TestDatabase;
  let db: Knex;
  beforeAll(async () => {
    database = await createDatabase();
    db = knex(knexConfig(loadDatabaseConfig({ DATABASE_URL: database.url }), { statementTimeoutMs: 1_000 }));
  });
  afterAll(async () => {
    await db.destroy();
    await database.drop();
  });

  it('keep the pool from opening more connections while ten are still executed', async () => {
    const giveUp = async (count: number) => {
      const statements = Array.from({ length: count }, () => db.raw(LONG_STATEMENT));
      const reasons = (await Promise.allSettled(statements)).map((result) => 'reason' in result && result.reason.code);
      expect(reasons).toEqual(Array.from({ length: count }, () => 'PROTOCOL_SEQUENCE_TIMEOUT'));
    };
    await giveUp(9);
    await db.raw('SELECT 1');
    await giveUp(1);
    await expect(Promise.resolve(db.raw('SELECT 1'))).rejects.toThrow('AbandonedStatementsError');
    await until(async () => (await Promise.allSettled([db.raw('SELECT 1')]))[0]?.status === 'fulfilled');
  });
});
