import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe } from '@jest/globals';
import { serverVersion, withConnection } from './own-database.ts';
import { startProcess } from './processes.ts';
import { closedPort } from './tcp-relay.ts';
import { until } from './until.ts';

/** A database server of a test's own, whose global settings the test may change. */
export interface OwnServer {
  /** With the server's user root, who has no password, and without a database. */
  url: string;
  port: number;
  /** The folder above the server's own, which it can read: `../file`. */
  folder: string;
  /** Runs statements as root. */
  run(...statements: string[]): Promise<void>;
  close(): Promise<void>;
}

/** Starts a server. @param options as on its command line @param prepare adds files to its folder */
export type StartServer = (options?: string[], prepare?: (folder: string) => void) => Promise<OwnServer>;

/** Where `.ci/mysql-up` unpacked MySQL. */
const MYSQL_ROOT = '/opt/mysql';
const AS_ROOT = process.getuid?.() === 0 ? ['--user=root'] : [];
const run = promisify(execFile);

/** Declares the suite once for each kind of server that is installed here and used by the other tests. */
export function describeOwnServers(title: string, suite: (start: StartServer, kind: string) => void): void {
  const hasMysql = process.env['TEST_MYSQL_URL'] && AS_ROOT.length > 0 && existsSync(`${MYSQL_ROOT}/usr/sbin/mysqld`);
  const kinds = [
    ['MySQL', startMysql, hasMysql],
    ['MariaDB', startMariadb, process.env['TEST_MARIADB_URL'] && process.env['HAS_MARIADB']],
  ] as const;
  for (const [kind, start, isAvailable] of kinds) {
    (isAvailable ? describe : describe.skip)(`${title} on ${kind}`, () => suite(start, kind));
  }
}

async function startMariadb(options: string[] = [], prepare = (_folder: string) => {}): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'own-server-'));
  const data = ['--no-defaults', `--datadir=${folder}/data`, `--tmpdir=${folder}`, ...AS_ROOT];
  await run('mariadb-install-db', [...data, '--auth-root-authentication-method=normal', '--skip-test-db']);
  prepare(folder);
  return serve({ command: ['mariadbd', ...data], folder, folderInServer: folder, options });
}

async function startMysql(options: string[] = [], prepare = (_folder: string) => {}): Promise<OwnServer> {
  const folder = await mkdtemp(`${MYSQL_ROOT}/tmp/own-server-`);
  const folderInServer = folder.slice(MYSQL_ROOT.length);
  const command = ['chroot', MYSQL_ROOT, 'mysqld', '--no-defaults', `--datadir=${folderInServer}/data`, ...AS_ROOT];
  await run(command[0] as string, [...command.slice(1), '--initialize-insecure']);
  prepare(folder);
  return serve({ command: [...command, '--mysqlx=OFF'], folder, folderInServer, options });
}

interface ServeOptions {
  command: string[];
  folder: string;
  folderInServer: string;
  options: string[];
}

async function serve({
  command: [command = '', ...args],
  folder,
  folderInServer,
  options,
}: ServeOptions): Promise<OwnServer> {
  const port = await closedPort();
  const address = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${folderInServer}/socket`];
  const server = startProcess({ command, args: [...args, ...address, ...options], env: {} });
  const url = `mysql://root@127.0.0.1:${port}/`;
  const failed = server.ended.then((code) => Promise.reject(new Error(`${command} ended: ${code} ${server.stderr()}`)));
  failed.catch(() => undefined);
  await Promise.race([failed, until(() => serverVersion(url).catch(({ sqlState }) => sqlState))]);
  return {
    url,
    port,
    folder,
    run: async (...statements: string[]) => {
      await withConnection(url, async (connection) => {
        for (const statement of statements) await connection.query(statement);
      });
    },
    close: async () => {
      await server.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
