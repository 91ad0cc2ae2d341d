import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { isDuplicate } from '../../src/db/database-errors.ts';
import { ConflictError, openSession, type Session } from '../../src/db/session.ts';
import { AppError } from '../../src/errors.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { describeEachDatabase, describeOnServer } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';

describeEachDatabase('the session', (createDatabase) => {
  let database: TestDatabase;
  let session: Session;

  beforeAll(async () => {
    database = await createDatabase();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }), systemClock);
    await session.knex.schema.createTable('things', (table) => {
      table.string('name', 20).primary();
      table.integer('count').notNullable();
    });
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });
  const things = (db: Knex = session.knex) => db<{ name: string; count: number }>('things');

  it('returns the result of a statement', async () => {
    await session.query((db) => things(db).insert({ name: 'one', count: 1 }));
    expect(await session.query((db) => things(db).where({ name: 'one' }).first())).toEqual({ name: 'one', count: 1 });
  });

  it('rolls back a transaction that fails, and does not retry it', async () => {
    let runs = 0;
    const failing = session.transaction(async (trx) => {
      runs += 1;
      await things(trx).insert({ name: 'rolled back', count: 1 });
      throw new Error('an internal fault');
    });
    await expect(failing).rejects.toThrow('an internal fault');
    expect(runs).toBe(1);
    expect(await things().where({ name: 'rolled back' }).first()).toBeUndefined();
  });

  it('retries a transaction that lost against another writer, on the current rows', async () => {
    let runs = 0;
    const result = await session.transaction(async (trx) => {
      runs += 1;
      await things(trx).insert({ name: 'raced', count: runs });
      if (runs < 3) throw new ConflictError();
      return runs;
    });
    expect([result, await things().where({ name: 'raced' })]).toEqual([3, [{ name: 'raced', count: 3 }]]);
  });

  it('reports service_unavailable if every attempt loses against another writer', async () => {
    const losing = session.transaction(async () => {
      throw new ConflictError();
    });
    await expect(losing).rejects.toMatchObject({ code: 'service_unavailable', cause: { code: 'ConflictError' } });
  });

  it('does not retry a duplicate, and removes the values from its error', async () => {
    const insert = () => session.query((db) => things(db).insert({ name: 'canary', count: 424242 }));
    await insert();
    const error = await insert().catch((thrown) => thrown);
    expect(isDuplicate(error)).toBe(true);
    expect(`${inspect(error, { depth: 9, showHidden: true })}${error.stack}${JSON.stringify(error)}`).not.toMatch(
      /canary|424242/,
    );
  });

  it('reports service_unavailable if a table is missing', async () => {
    const error = await session.query((db) => db('nowhere' as never).first()).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'service_unavailable', retryAfterSeconds: expect.any(Number) });
  });

  it('loses none of twenty increments, five at a time', async () => {
    await things().insert({ name: 'counted', count: 0 });
    const increment = () =>
      session.transaction(async (trx) => {
        const { count } = (await things(trx).where({ name: 'counted' }).first()) as { count: number };
        const changed = await things(trx)
          .where({ name: 'counted', count })
          .update({ count: count + 1 });
        if (changed === 0) throw new ConflictError();
      });
    for (let round = 0; round < 4; round += 1) await Promise.all(Array.from({ length: 5 }, increment));
    expect(await things().where({ name: 'counted' }).first()).toMatchObject({ count: 20 });
  });
});

describeOnServer('the session', (createDatabase) => {
  it('uses UTC on every connection, whatever the server’s time zone', async () => {
    const database = await createDatabase();
    const session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }), systemClock);
    const timeZones = Array.from({ length: 3 }, () =>
      session.query((db) => db.raw('SELECT @@session.time_zone AS zone')),
    );
    for (const [[{ zone }]] of await Promise.all(timeZones)) expect(zone).toBe('+00:00');
    await session.close();
    await database.drop();
  });

  it('reports service_unavailable if the database does not exist or rejects the user', async () => {
    const database = await createDatabase();
    await database.drop();
    const unknownUser = new URL(database.url);
    unknownUser.username = 'unknown';
    unknownUser.password = 'canary-password';
    for (const DATABASE_URL of [database.url, unknownUser.href]) {
      const session = openSession(loadDatabaseConfig({ DATABASE_URL }), systemClock);
      const error = await session.query((db) => db.raw('SELECT 1')).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'service_unavailable' });
      expect(inspect(error)).not.toContain('canary');
      await session.close();
    }
  });
});

describe('a session on sqlite::memory:', () => {
  it('keeps its data until it is closed', async () => {
    const session = openSession({ client: 'sqlite', filename: ':memory:' }, systemClock);
    await session.knex.schema.createTable('things', (table) => table.string('name'));
    await Promise.all(
      Array.from({ length: 5 }, () => session.query((db) => db<{ name: string }>('things').insert({ name: 'x' }))),
    );
    expect(await session.query((db) => db('things' as never))).toHaveLength(5);
    await session.close();
  });
});
