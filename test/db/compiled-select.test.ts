import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { CompiledSelect } from '../../src/db/compiled-select.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { describeEachDatabase } from '../support/databases.ts';
import type { TestDatabase } from '../support/own-database.ts';

interface Thing {
  name: string;
  color: string;
}

describeEachDatabase('a compiled SELECT', (createDatabase) => {
  let database: TestDatabase;
  let session: Session;
  const built: (readonly string[])[] = [];
  const select = (color: string) =>
    new CompiledSelect<string, Thing>(session, (db, names) => {
      built.push(names);
      return things(db).whereIn('name', names).where({ color }).orderBy('name').select('name', 'color');
    });
  const things = (db: Knex) => db<Thing>('things');

  beforeAll(async () => {
    database = await createDatabase();
    session = openSession(loadDatabaseConfig({ DATABASE_URL: database.url }), systemClock);
    await session.knex.schema.createTable('things', (table) => {
      table.string('name', 20).primary();
      table.string('color', 20).notNullable();
    });
    const rows = ['one', 'two', 'three'].map((name) => ({ name, color: 'red' }));
    await things(session.knex).insert([...rows, { name: 'other', color: 'blue' }]);
  });
  afterAll(async () => {
    await session.close();
    await database.drop();
  });

  it('reads the rows of the keys of each read, by SQL that is compiled once for each number of keys', async () => {
    const red = select('red');
    const read = async (...names: string[]) => (await red.read(names)).map(({ name }) => name);
    built.splice(0);
    expect(await read('one')).toEqual(['one']);
    expect(await read('two')).toEqual(['two']);
    expect(await read('other')).toEqual([]);
    expect(await read('one', 'three')).toEqual(['one', 'three']);
    expect(await read('two', 'missing')).toEqual(['two']);
    expect(await Promise.all([read('three'), read('one')])).toEqual([['three'], ['one']]);
    expect(built).toEqual([['one'], ['one', 'three']]);
    expect(await select('blue').read(['other'])).toEqual([{ name: 'other', color: 'blue' }]);
  });

  it('sends keys as parameters', async () => {
    expect(await select('red').read(["one') or ('1' = '1"])).toEqual([]);
  });

  it('rejects a statement whose first bindings are not the keys', async () => {
    const wrong = new CompiledSelect<string, Thing>(session, (db, names) =>
      things(db).where({ color: 'red' }).whereIn('name', names),
    );
    await expect(wrong.read(['one'])).rejects.toThrow('the first bindings must be the keys');
    expect(session.pool().used).toBe(0);
  });

  it('reports service_unavailable for a missing table, and returns its connection to the pool', async () => {
    const failing = new CompiledSelect<string, Thing>(session, (db, names) => db('missing').whereIn('name', names));
    await expect(failing.read(['one'])).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(session.pool().used).toBe(0);
  });
});
