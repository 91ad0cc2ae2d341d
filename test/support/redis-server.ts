import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { closedPort } from './tcp-proxy.ts';

/** A Redis of a test's own, which can die, freeze and come back with nothing. */
export interface RedisServer {
  url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** At the same address, empty: no counts, no scripts. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** One command, written as in `redis-cli`; resolves with Redis' answer. */
  command(text: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts `redis-server` on a free port. @param options as on its command line */
export async function startRedis(...options: string[]): Promise<RedisServer> {
  const port = await closedPort();
  let child: ChildProcess | undefined;
  const redis: RedisServer = {
    url: `redis://127.0.0.1:${port}`,
    start: async () => {
      const own = [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        tmpdir(),
      ];
      child = spawn('redis-server', [...own, ...options], { stdio: 'ignore' });
      while ((await redis.command('PING').catch(() => '')) === '') await delay(10);
    },
    kill: async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    command: async (text) => {
      const socket = connect(port, '127.0.0.1');
      try {
        await once(socket, 'connect');
        socket.write(`${text}\r\n`);
        return String((await once(socket, 'data'))[0]);
      } finally {
        socket.destroy();
      }
    },
    close: () => redis.kill(),
  };
  await redis.start();
  return redis;
}
