import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverVersion } from '../support/own-database.ts';
import { type Process, startProcess } from '../support/processes.ts';
import { closedPort, startTcpRelay } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

/** A database server that a scenario may stop. */
export interface DatabaseServer {
  /** `mariadbd`, or the relay that simulates its outage. */
  kind: string;
  /** Without a database. */
  url: string;
  /** Stops the server: SIGKILL and SIGTERM end it, SIGSTOP freezes it. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Resolves once the server accepts connections again. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** MariaDB is required and not installed. */
export class NotInstalledError extends Error {
  override readonly name = 'NotInstalledError';

  constructor() {
    super('mariadbd is not installed');
  }
}

/**
 * Starts MariaDB in a temporary folder or, if it is not installed, a relay to `sharedUrl`.
 * @param maxMebibytes what the server can store, by default no less than its disk
 * @throws NotInstalledError if it is to be limited and is not installed
 */
export async function startDatabaseServer(sharedUrl: string, maxMebibytes?: number): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'faults-'));
  try {
    return await startMariadb(folder, maxMebibytes === undefined ? [] : limitedTo(maxMebibytes));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (maxMebibytes !== undefined) throw new NotInstalledError();
    return startRelay(sharedUrl);
  }
}

/** One file for all tables, which does not grow beyond its limit. */
function limitedTo(mebibytes: number): string[] {
  return ['--innodb-file-per-table=0', `--innodb-data-file-path=ibdata1:12M:autoextend:max:${mebibytes}M`];
}

async function startMariadb(folder: string, options: string[]): Promise<DatabaseServer> {
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  const data = ['--no-defaults', `--datadir=${folder}/data`, `--tmpdir=${folder}`, ...options, ...asRoot];
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db'];
  await promisify(execFile)('mariadb-install-db', [...data, ...install]);

  const port = await closedPort();
  const address = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${folder}/socket`];
  const url = `mysql://root@127.0.0.1:${port}/`;
  let server: Process | undefined;
  const stop = async (signal: NodeJS.Signals) => {
    const ended = server?.kill(signal);
    if (signal === 'SIGSTOP') return;
    await ended;
    server = undefined;
  };
  const start = async () => {
    if (server) return void server.kill('SIGCONT');
    server = startProcess({ command: 'mariadbd', args: [...data, ...address, '--skip-log-bin'], env: {} });
    const failed = server.ended.then((code) => Promise.reject(new Error(`mariadbd ended: ${code}`)));
    const isUp = () => serverVersion(url).catch(() => undefined);
    await Promise.race([failed, until(isUp)]);
  };
  const close = async () => {
    await stop('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  await start();
  return { kind: 'mariadbd', url, stop, start, close };
}

async function startRelay(sharedUrl: string): Promise<DatabaseServer> {
  const { url, refuse, pass, close } = await startTcpRelay(sharedUrl);
  return {
    kind: 'TCP relay, because mariadbd is not installed',
    url,
    stop: async () => refuse(),
    start: pass,
    close: async () => close(),
  };
}
