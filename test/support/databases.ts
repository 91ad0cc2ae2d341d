import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';
import { createOnServer, type TestDatabase } from './own-database.ts';

/** Creates an empty database of one kind. */
export type CreateDatabase = () => Promise<TestDatabase>;

const KINDS: [name: string, create: CreateDatabase | undefined][] = [
  ['SQLite', createSqlite],
  ['MySQL', onServer(process.env['TEST_MYSQL_URL'])],
  ['MariaDB', onServer(process.env['TEST_MARIADB_URL'])],
];

/** Declares the suite once for each kind of database. It is skipped, which the summary reports, if the server is not available. */
export function describeEachDatabase(title: string, suite: (create: CreateDatabase, kind: string) => void): void {
  for (const [kind, create] of KINDS) {
    const describeOrSkip = create ? describe : describe.skip;
    describeOrSkip(`${title} on ${kind}`, () => suite(create ?? createSqlite, kind));
  }
}

/** Declares a suite on a server that several processes can share: MySQL if it is available, otherwise MariaDB. */
export function describeOnServer(title: string, suite: (create: CreateDatabase) => void): void {
  const create = KINDS.slice(1).find(([, available]) => available)?.[1];
  const describeOrSkip = create ? describe : describe.skip;
  describeOrSkip(title, () => suite(create ?? createSqlite));
}

/** Creates a SQLite file. */
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
