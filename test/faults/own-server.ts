import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import mysql from 'mysql2/promise';
import { closedPort } from '../support/tcp-proxy.ts';
import { startRelay } from './relay.ts';

/** A database server that may be stopped, since nobody else uses it. */
export interface OwnServer {
  /** `mariadbd`, or the proxy that plays its outage. */
  kind: string;
  /** Without a database. */
  url: string;
  /** Takes it away: SIGKILL and SIGTERM end it, SIGSTOP freezes it. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Brings it back; resolves once it answers. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** A MariaDB of our own in a temporary folder; where none is installed, a proxy before `sharedUrl`. */
export async function startOwnServer(sharedUrl: string): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'faults-'));
  try {
    return await startMariadb(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return startProxy(sharedUrl);
  }
}

async function startMariadb(folder: string): Promise<OwnServer> {
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  const data = ['--no-defaults', `--datadir=${folder}/data`, `--tmpdir=${folder}`, ...asRoot];
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db'];
  await promisify(execFile)('mariadb-install-db', [...data, ...install]);

  const port = await closedPort();
  const address = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${folder}/socket`];
  const url = `mysql://root@127.0.0.1:${port}/`;
  let child: ChildProcess | undefined;
  const killWithUs = () => void child?.kill('SIGKILL');
  process.once('exit', killWithUs);
  const stop = async (signal: NodeJS.Signals) => {
    child?.kill(signal);
    if (signal !== 'SIGSTOP' && child?.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  const start = async () => {
    if (child?.exitCode === null && child.signalCode === null) return void child.kill('SIGCONT');
    child = spawn('mariadbd', [...data, ...address, '--skip-log-bin'], { stdio: 'ignore' });
    await once(child, 'spawn');
    await answering(url);
  };
  await start();
  return {
    kind: 'mariadbd',
    url,
    stop,
    start,
    close: async () => {
      await stop('SIGKILL');
      process.off('exit', killWithUs);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startProxy(sharedUrl: string): Promise<OwnServer> {
  const relay = await startRelay(sharedUrl);
  const url = new URL(sharedUrl);
  url.hostname = '127.0.0.1';
  url.port = String(relay.port);
  return {
    kind: 'a proxy: no mariadbd here',
    url: url.href,
    stop: async () => relay.refuse(),
    start: () => relay.pass(),
    close: async () => relay.close(),
  };
}

async function answering(url: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await (await mysql.createConnection({ uri: url, connectTimeout: 1_000 })).end();
    } catch (error) {
      if (tries === 400) throw error;
      await delay(50);
    }
  }
}
