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

/** Starts MariaDB in a temporary folder or, if it is not installed, a relay to `sharedUrl`. */
export async function startDatabaseServer(sharedUrl: string): Promise<DatabaseServer> {
  const folder = await mkdtemp(join(tmpdir(), 'faults-'));
  try {
    return await startMariadb(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return startRelay(sharedUrl);
  }
}

async function startMariadb(folder: string): Promise<DatabaseServer> {
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  const data = ['--no-defaults', `--datadir=${folder}/data`, `--tmpdir=${folder}`, ...asRoot];
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
