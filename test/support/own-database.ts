import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';

/** A database of a test's own, empty, and gone when the test is done with it. */
export interface TestDatabase {
  /** For `DATABASE_URL`. */
  url: string;
  drop(): Promise<void>;
}

/** Makes a fresh database on a MySQL or MariaDB server. */
export async function createOnServer(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const run = async (sql: string) => {
    const connection = await mysql.createConnection({ uri: serverUrl });
    await connection.query(sql);
    await connection.end();
  };
  await run(`CREATE DATABASE ${name}`);
  const { href: url } = Object.assign(new URL(serverUrl), { pathname: `/${name}` });
  return { url, drop: () => run(`DROP DATABASE IF EXISTS ${name}`) };
}
