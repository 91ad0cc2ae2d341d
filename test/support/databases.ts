import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import mysql from 'mysql2/promise';

/** A database of a test's own, empty, and gone when the test is done with it. */
export interface TestDatabase {
  /** For `DATABASE_URL`. */
  url: string;
  drop(): Promise<void>;
}

/** Makes a fresh database of one kind. */
export type CreateDatabase = () => Promise<TestDatabase>;

const KINDS: [name: string, create: CreateDatabase | undefined][] = [
  ['SQLite', createSqlite],
  ['MySQL', onServer(process.env['TEST_MYSQL_URL'])],
  ['MariaDB', onServer(process.env['TEST_MARIADB_URL'])],
];

/** One suite for each kind of database; skipped, and told so, where its server is not there. */
export function describeEachDatabase(title: string, suite: (create: CreateDatabase, kind: string) => void): void {
  for (const [kind, create] of KINDS) {
    const describeOrSkip = create ? describe : describe.skip;
    describeOrSkip(`${title} on ${kind}`, () => suite(create ?? createSqlite, kind));
  }
}

/** One suite on a server that several processes can share: MySQL where it is there, else MariaDB. */
export function describeOnServer(title: string, suite: (create: CreateDatabase) => void): void {
  const create = KINDS.slice(1).find(([, available]) => available)?.[1];
  const describeOrSkip = create ? describe : describe.skip;
  describeOrSkip(title, () => suite(create ?? createSqlite));
}

/** A SQLite file. */
export async function createSqlite(): Promise<TestDatabase> {
  const file = join(tmpdir(), `test-${randomUUID()}.db`);
  return {
    url: `sqlite:${file}`,
    drop: async () => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
    },
  };
}

function onServer(serverUrl: string | undefined): CreateDatabase | undefined {
  if (!serverUrl) return undefined;
  return async () => {
    const name = `test_${randomUUID().replaceAll('-', '')}`;
    const run = async (sql: string) => {
      const connection = await mysql.createConnection({ uri: serverUrl });
      await connection.query(sql);
      await connection.end();
    };
    await run(`CREATE DATABASE ${name}`);
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    return { url: url.href, drop: () => run(`DROP DATABASE IF EXISTS ${name}`) };
  };
}
