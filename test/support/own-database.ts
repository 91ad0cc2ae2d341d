import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';

/** An empty database for one test. */
export interface TestDatabase {
  /** The value of `DATABASE_URL`. */
  url: string;
  drop(): Promise<void>;
}

/** Creates a database on a MySQL or MariaDB server. */
export async function createOnServer(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await withConnection(serverUrl, (connection) => connection.query(`CREATE DATABASE ${name}`));
  const { href: url } = Object.assign(new URL(serverUrl), { pathname: `/${name}` });
  const drop = async () => {
    await withConnection(serverUrl, (connection) => connection.query(`DROP DATABASE IF EXISTS ${name}`));
  };
  return { url, drop };
}

/** Returns the server's name and version. Rejects if the server cannot be reached. */
export async function serverVersion(serverUrl: string): Promise<string> {
  const [[row]] = await withConnection(serverUrl, (connection) =>
    connection.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version'),
  );
  const version = String(row?.['version']);
  return version.includes('MariaDB') ? version : `MySQL ${version}`;
}

/** Opens a connection for the duration of `work`. */
export async function withConnection<T>(uri: string, work: (connection: mysql.Connection) => Promise<T>): Promise<T> {
  const connection = await mysql.createConnection({ uri, connectTimeout: 3_000 });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}
