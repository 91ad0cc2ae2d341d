import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { createOnServer, type TestDatabase } from './own-database.ts';

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
  return serverUrl ? () => createOnServer(serverUrl) : undefined;
}
