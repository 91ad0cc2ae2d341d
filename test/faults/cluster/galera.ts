import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RowDataPacket } from 'mysql2/promise';
import { serverVersion, withConnection } from '../../support/own-database.ts';
import { type Process, startProcess } from '../../support/processes.ts';
import { closedPort } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';
import { type Cluster, type ClusterOperations, type ClusterOptions, portOf } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';
import { migrateOnAllNodes } from './migrating.ts';

const PROVIDER = '/usr/lib/galera/libgalera_smm.so';
export const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const NODES = 3;
const execute = promisify(execFile);

/** Returns what is missing for a cluster; undefined if nothing is. */
export async function missingForGalera(): Promise<string | undefined> {
  const isMissing = (work: Promise<unknown>) => work.then(() => false).catch(() => true);
  if (await isMissing(execute('mariadbd', ['--version']))) return 'mariadb-server is not installed';
  if (await isMissing(access(PROVIDER))) return 'galera-4 is not installed';
  if (await isMissing(execute('rsync', ['--version']))) return 'rsync is not installed';
  return undefined;
}

/** Starts three nodes of MariaDB with Galera in a temporary folder, each of which accepts writes. */
export async function startGalera({ skewSeconds = 0 }: ClusterOptions): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'galera-'));
  const processes: Process[] = [];
  const close = async () => {
    await Promise.all(processes.map(({ kill }) => kill('SIGKILL')));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (isRoot()) await execute('chown', ['mysql:mysql', folder]);
    const ports: { sql: number; group: number; ist: number; sst: number }[] = [];
    for (let index = 0; index < NODES; index += 1) {
      const [sql, group, ist, sst] = [await closedPort(), await closedPort(), await closedPort(), await closedPort()];
      ports.push({ sql, group, ist, sst });
    }
    const addresses = ports.map(({ group }) => `127.0.0.1:${group}`).join(',');
    for (const [index, { sql, group, ist, sst }] of ports.entries()) {
      const data = `${folder}/${index}`;
      await execute(...asUser('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, ...INSTALL]));
      const [command, args] = asUser('env', [
        ...skewed(index * skewSeconds),
        'mariadbd',
        ...['--no-defaults', `--datadir=${data}`, `--tmpdir=${data}`, `--socket=${folder}/${index}.socket`],
        ...[`--port=${sql}`, '--bind-address=127.0.0.1', '--binlog-format=ROW', '--innodb-autoinc-lock-mode=2'],
        ...[
          '--innodb-buffer-pool-size=32M',
          '--wsrep-on=ON',
          `--wsrep-provider=${PROVIDER}`,
          '--wsrep-sst-method=rsync',
        ],
        ...[`--wsrep-cluster-address=gcomm://${index === 0 ? '' : addresses}`, '--wsrep-node-address=127.0.0.1'],
        ...[`--wsrep-node-name=node${index}`, `--wsrep-sst-receive-address=127.0.0.1:${sst}`],
        `--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:${group};base_port=${group};ist.recv_addr=127.0.0.1:${ist};gcache.size=16M;repl.causal_read_timeout=PT4S`,
      ]);
      const process = startProcess({ command, args, env: {} });
      processes.push(process);
      const failed = process.ended.then((code) =>
        Promise.reject(new Error(`mariadbd ended: ${code} ${process.stderr().slice(-2_000)}`)),
      );
      failed.catch(() => undefined);
      await Promise.race([failed, until(() => isSynced(sql))]);
    }
    const nodes = ports.map(({ sql }, index) => ({
      port: sql,
      signal: (signal: NodeJS.Signals) => void processes[index]?.kill(signal),
      run: (...statements: string[]) =>
        withConnection(urlOf(sql), async (connection) => {
          for (const statement of statements) await connection.query(statement);
        }),
      value: (statement: string) =>
        withConnection(urlOf(sql), async (connection) => {
          const [rows] = await connection.query<RowDataPacket[]>(statement);
          return Object.values(rows[0] ?? {})[0];
        }),
    }));
    return { version: `Galera (${await serverVersion(urlOf(ports[0]?.sql ?? 0))})`, nodes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export const galera: ClusterOperations = {
  kind: 'Galera',
  switchOver: async ({ nodes: [first, second] }, { pointTo }) => {
    pointTo(portOf(second));
    await first?.run('SET GLOBAL wsrep_reject_queries = ALL');
  },
  failOver: async ({ nodes: [, second] }, { pointTo }) => pointTo(portOf(second)),
  loseQuorum: async ({ nodes: [first] }) => {
    await first?.run("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'");
    await delay(10_000);
    await first?.run("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'");
  },
  lag: { before: ['SET GLOBAL wsrep_desync = ON'], after: ['SET GLOBAL wsrep_desync = OFF'] },
};

export const galeraClocks: ClusterScenario = {
  name: 'Galera: connections to three nodes whose clocks are 30 s apart',
  skewSeconds: 30,
  isOnAllNodes: true,
  fault: async () => void (await delay(20_000)),
};

export const galeraMigrations: ClusterScenario = {
  name: 'Galera: migrations start on three nodes at once, on an empty database',
  expected: 'none fails; each migration is recorded once, and every node has the tables of a single start',
  measure: migrateOnAllNodes,
};

const INSTALL = ['--auth-root-authentication-method=normal', '--skip-test-db'];

/** The state transfer by rsync fails as root. */
function asUser(command: string, args: string[]): [string, string[]] {
  if (!isRoot()) return [command, args];
  return ['setpriv', ['--reuid=mysql', '--regid=mysql', '--clear-groups', command, ...args]];
}

/** The variables of a process whose wall clock is ahead. Only the process itself may load the library, as its own user. */
function skewed(seconds: number): string[] {
  return seconds === 0 ? [] : [`LD_PRELOAD=${FAKETIME}`, `FAKETIME=+${seconds}s`, 'FAKETIME_DONT_FAKE_MONOTONIC=1'];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function urlOf(port: number): string {
  return `mysql://root@127.0.0.1:${port}/`;
}

async function isSynced(port: number): Promise<boolean> {
  try {
    return await withConnection(urlOf(port), async (connection) => {
      const [rows] = await connection.query("SHOW STATUS LIKE 'wsrep_local_state_comment'");
      return JSON.stringify(rows).includes('Synced');
    });
  } catch {
    return false;
  }
}
