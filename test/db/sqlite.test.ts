import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Knex } from 'knex';
import { isDuplicate } from '../../src/db/database-errors.ts';
import { openKnex, openSession, type Session } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';

describe('a session on a SQLite file', () => {
  let folder: string;
  let filename: string;
  let session: Session;
  let other: Knex;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sqlite-'));
    filename = join(folder, 'new', 'folder', 'test.db');
    session = openSession({ client: 'sqlite', filename }, systemClock);
    await session.knex.schema.createTable('things', (table) => {
      table.string('name').primary();
      table.integer('count').unique();
    });
    await things().insert({ name: 'a', count: 0 });
    other = openKnex({ client: 'sqlite', filename });
  });
  afterEach(async () => {
    await other.destroy();
    await session.close();
    await rm(folder, { recursive: true });
  });
  const things = (db = session.knex) => db<{ name: string; count: number }>('things');

  it('writes ahead, syncs every commit to the disk, and waits a limited time for another writer', async () => {
    const settings = ['journal_mode', 'synchronous', 'busy_timeout'];
    const rows = await Promise.all(settings.map((name) => session.knex.raw(`PRAGMA ${name}`)));
    expect(rows).toEqual([[{ journal_mode: 'wal' }], [{ synchronous: 2 }], [{ timeout: 1000 }]]);
  });

  it('recognizes a duplicate, in a primary key and in a unique index', async () => {
    for (const row of [
      { name: 'a', count: 1 },
      { name: 'b', count: 0 },
    ]) {
      const error = await session.query(() => things().insert(row)).catch((thrown) => thrown);
      expect(isDuplicate(error)).toBe(true);
    }
  });

  it.each([
    ['is not a database', 'SQLITE_NOTADB'],
    ['is read-only', 'SQLITE_READONLY'],
    ['is full', 'SQLITE_FULL'],
  ])('reports that the file %s', async (_, code) => {
    const sql = {
      SQLITE_NOTADB: `ATTACH '${import.meta.filename}' AS other`,
      SQLITE_READONLY: 'PRAGMA query_only = ON',
      SQLITE_FULL: 'PRAGMA max_page_count = 1',
    };
    const failing = session.query(async (db) => {
      await db.raw(sql[code as keyof typeof sql]);
      await db.raw('CREATE TABLE others (name TEXT)');
      await db('others').insert({ name: 'x'.repeat(100_000) });
    });
    const error = await failing.catch((thrown) => thrown);
    expect([error.cause?.code ?? error.code, error.name]).toEqual([code, 'AppError']);
  });

  it('is service_unavailable if the file cannot be opened', async () => {
    const closed = openSession({ client: 'sqlite', filename: folder }, systemClock);
    await expect(closed.query((db) => db.raw('SELECT 1'))).rejects.toMatchObject({
      code: 'service_unavailable',
      cause: { code: 'SQLITE_CANTOPEN' },
    });
    await closed.close();
  });

  it('retries a write that another writer blocks', async () => {
    const blocking = await other.transaction();
    await things(blocking).insert({ name: 'b', count: 1 });
    const codes: string[] = [];
    session.knex.on('query-error', ({ code }) => {
      codes.push(code);
      void blocking.commit();
    });
    await session.knex.raw('PRAGMA busy_timeout = 0');
    await session.query(() => things().insert({ name: 'c', count: 2 }));
    expect(codes).toEqual(['SQLITE_BUSY']);
    expect(await things().pluck('name').orderBy('name')).toEqual(['a', 'b', 'c']);
  });

  it('retries a transaction whose snapshot became outdated, once, on the new rows', async () => {
    const seen: number[] = [];
    await session.transaction(async (trx) => {
      const row = await things(trx).where({ name: 'a' }).first();
      seen.push(row?.count ?? NaN);
      if (seen.length === 1) await things(other).where({ name: 'a' }).update({ count: 5 });
      await things(trx)
        .where({ name: 'a' })
        .update({ count: (row?.count ?? NaN) + 1 });
    });
    expect([seen, await things().pluck('count')]).toEqual([[0, 5], [6]]);
  });

  const itWhenBuilt = existsSync(new URL('../../dist/src/db/session.js', import.meta.url)) ? it : it.skip;

  itWhenBuilt('loses no increment of two processes', async () => {
    const increments = 50;
    const dist = new URL('../../dist/src', import.meta.url).href;
    const script = `
      import { openSession } from '${dist}/db/session.js';
      import { systemClock } from '${dist}/utils/clock.js';
      const session = openSession({ client: 'sqlite', filename: '${filename}' }, systemClock);
      for (let round = 0; round < ${increments}; round += 1)
        await session.transaction(async (trx) => {
          const { count } = await trx('things').where({ name: 'a' }).first();
          await trx('things').where({ name: 'a' }).update({ count: count + 1 });
        });
      await session.close();`;
    const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    await Promise.all([run(), run()]);
    expect(await things().pluck('count')).toEqual([2 * increments]);
  });
});
