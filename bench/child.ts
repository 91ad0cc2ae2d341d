import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { closedPort } from '../test/support/tcp-proxy.ts';

/** A process that is measured. */
export interface Measured {
  origin: string;
  /** What it used of the processor so far, user and system, in microseconds. */
  cpu(): Promise<number>;
  /** What it holds of memory now (VmRSS), in bytes. */
  memory(): Promise<number>;
  stop(): Promise<void>;
}

const START_MS = 15_000;
/** `/proc` counts the processor's time in these (USER_HZ). */
const TICK_MICROSECONDS = 10_000;

/** Starts a node process that listens on `PORT`; resolves once it answers. @param output a file's descriptor */
export async function startChild(args: string[], env: Record<string, string>, output?: number): Promise<Measured> {
  const port = await closedPort();
  const child = spawn(process.execPath, args, {
    cwd: tmpdir(), // no .env there
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port), ...env },
    stdio: ['ignore', output ?? 'ignore', 'inherit'],
  });
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const origin = `http://127.0.0.1:${port}`;
  await answering(origin, child);
  return {
    origin,
    cpu: async () => {
      const fields = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
    },
    memory: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    },
    stop: async () => {
      process.off('exit', killWithUs);
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function answering(origin: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`${origin}/healthz`).catch(() => undefined);
    if (answer?.ok) return;
    await delay(50);
  }
  throw new Error(`${child.spawnargs.join(' ')} does not answer`);
}
