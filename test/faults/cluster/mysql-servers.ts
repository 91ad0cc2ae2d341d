import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { RowDataPacket } from 'mysql2/promise';
import { serverVersion, withConnection } from '../../support/own-database.ts';
import { type Process, startProcess } from '../../support/processes.ts';
import { closedPort } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';
import type { Cluster, ClusterNode } from './cluster.ts';

/** Where `.ci/mysql-up` unpacked MySQL. */
const ROOT = '/opt/mysql';
const OPTIONS = [
  ...['--no-defaults', '--user=root', '--mysqlx=OFF', '--bind-address=127.0.0.1', '--innodb-buffer-pool-size=64M'],
  ...['--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--report-host=127.0.0.1'],
];
const execute = promisify(execFile);

/** Returns what is missing for servers of MySQL; undefined if nothing is. */
export async function missingForMysql(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'MySQL is started in a root folder of its own, which only root can';
  return existsSync(`${ROOT}/usr/sbin/mysqld`) ? undefined : 'MySQL is not installed: run .ci/mysql-up';
}

/** Starts servers that do not know each other yet. @param optionsOf each server's own options, by its number and port */
export async function startMysqlServers(
  count: number,
  optionsOf: (index: number, port: number) => Promise<string[]>,
): Promise<Cluster> {
  const folder = await mkdtemp(`${ROOT}/tmp/cluster-`);
  const processes: Process[] = [];
  const close = async () => {
    await Promise.all(processes.map(({ kill }) => kill('SIGKILL')));
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (index: number): Promise<ClusterNode> => {
    const port = await closedPort();
    const data = `${folder}/${index}`;
    const own = [
      `--datadir=${inRoot(data)}`,
      `--port=${port}`,
      `--socket=${inRoot(data)}/socket`,
      `--report-port=${port}`,
    ];
    const args = ['mysqld', ...OPTIONS, ...own, `--server-id=${index + 1}`, ...(await optionsOf(index, port))];
    const server = startProcess({ command: 'chroot', args: [ROOT, ...args], env: {} });
    processes.push(server);
    const failed = server.ended.then((code) =>
      Promise.reject(new Error(`mysqld ended: ${code} ${server.stderr().slice(-2_000)}`)),
    );
    failed.catch(() => undefined);
    await Promise.race([failed, until(() => serverVersion(urlOf(port)).catch(() => undefined))]);
    return {
      port,
      signal: (signal) => void server.kill(signal),
      run: (...statements) =>
        withConnection(urlOf(port), async (connection) => {
          for (const statement of statements) await connection.query(statement);
        }),
      value: (statement) =>
        withConnection(urlOf(port), async (connection) => {
          const [rows] = await connection.query<RowDataPacket[]>(statement);
          return Object.values(rows[0] ?? {})[0];
        }),
    };
  };
  try {
    await initialize(folder, count);
    const nodes: ClusterNode[] = [];
    for (let index = 0; index < count; index += 1) nodes.push(await start(index));
    return { version: await serverVersion(urlOf(nodes[0]?.port ?? 0)), nodes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Creates the servers' folders: one, and copies without its identity. */
async function initialize(folder: string, count: number): Promise<void> {
  const first = `${folder}/0`;
  await execute('chroot', [
    ROOT,
    'mysqld',
    '--no-defaults',
    '--user=root',
    '--initialize-insecure',
    `--datadir=${inRoot(first)}`,
  ]);
  await rm(`${first}/auto.cnf`);
  for (let index = 1; index < count; index += 1) await cp(first, `${folder}/${index}`, { recursive: true });
}

function inRoot(path: string): string {
  return path.slice(ROOT.length);
}

function urlOf(port: number): string {
  return `mysql://root@127.0.0.1:${port}/`;
}
