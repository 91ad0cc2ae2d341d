import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { closedPort } from './tcp-relay.ts';
import { until } from './until.ts';

/** A Redis of a test's own, which can be killed, frozen and restarted empty. */
export interface RedisServer {
  url: string;
  port: number;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Starts it at the same address, empty: no counts, no scripts. */
  start(): Promise<void>;
  /** Keeps its connections open without a response. */
  freeze(): void;
  thaw(): void;
  /** Sends one command, written as in `redis-cli`. Resolves with the response. */
  command(text: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts `redis-server` on a free port. @param options as on its command line, after the file of its settings, if it has one */
export async function startRedis(...options: string[]): Promise<RedisServer> {
  const port = await closedPort();
  const file = options[0]?.startsWith('--') ? [] : options.splice(0, 1);
  const memoryOnly = file.length > 0 ? [] : ['--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  let child: ChildProcess | undefined;
  const redis: RedisServer = {
    url: `redis://127.0.0.1:${port}`,
    port,
    start: async () => {
      const args = [...file, '--port', String(port), '--bind', '127.0.0.1', ...memoryOnly, ...options];
      child = spawn('redis-server', args, { stdio: 'ignore' });
      await until(async () => (await redis.command('PING').catch(() => '')) !== '');
    },
    kill: async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    command: async (text) => {
      let response: string | undefined;
      while (response === undefined) response = await send(port, text);
      return response;
    },
    close: () => redis.kill(),
  };
  await redis.start();
  return redis;
}

/** Resolves with undefined if the server closes the connection instead: its role has changed, or a Sentinel has changed it. */
async function send(port: number, text: string): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`${text}\r\n`);
    for await (const response of socket) return String(response);
  } catch (error) {
    if (!['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    socket.destroy();
  }
  return undefined;
}
