import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closedPort } from './tcp-proxy.ts';

/** A process of this project, in a folder of its own. */
export interface Process {
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, once it ended. */
  ended: Promise<number | null>;
}

/** Where one process runs, so that no `.env` of the checkout is read; gone when the process ended. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'process-'));
}

/** Runs a script of this project; of the environment it has what it is given, and PATH. */
export function run(script: string, args: string[], env: Record<string, string>, cwd = emptyFolder()): Process {
  const file = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code]) => {
      rmSync(cwd, { recursive: true, force: true });
      return code;
    }),
  };
}

/** Runs a script to its end. */
export async function runToEnd(...parameters: Parameters<typeof run>) {
  const process = run(...parameters);
  const code = await process.ended;
  return { code, stdout: process.stdout(), stderr: process.stderr() };
}

/** The built service, listening. */
export async function runServer(env: Record<string, string>): Promise<Process & { origin: string }> {
  const port = await closedPort();
  const server = run('dist/src/server.js', [], { HOST: '127.0.0.1', ...env, PORT: String(port) });
  let isOver = false;
  void server.ended.then(() => {
    isOver = true;
  });
  while (!server.stdout().includes('"listening"')) {
    if (isOver) throw new Error(`The service did not start: ${server.stderr()}${server.stdout()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { ...server, origin: `http://127.0.0.1:${port}` };
}
