import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A process of this project, in a folder of its own. */
export interface Process {
  pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves once it ended, with how it did. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

/** The built service as a process of its own, as production runs it. */
export type ServiceProcess = Process & { origin: string };

/** Where one process runs, so that no `.env` of the checkout is read; gone when the process ended. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'process-'));
}

/** Runs a script of this project, no longer than we do; of the environment it has what it is given, and PATH. */
export function run(script: string, args: string[], env: Record<string, string>, cwd = emptyFolder()): Process {
  return runNode([fileOf(script), ...args], env, cwd);
}

/** Runs what `npm run dev` runs. */
export function runDevelopment(env: Record<string, string>, cwd = emptyFolder()): Process {
  return runNode(['--import', import.meta.resolve('tsx'), fileOf('dev/main.ts')], env, cwd);
}

function fileOf(script: string): string {
  return fileURLToPath(new URL(`../../${script}`, import.meta.url));
}

function runNode(args: string[], env: Record<string, string>, cwd: string): Process {
  const child = spawn(process.execPath, args, { cwd, env: { PATH: process.env['PATH'] ?? '', ...env } });
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const ended = endOf(child).finally(() => {
    process.off('exit', endWithUs);
    rmSync(cwd, { recursive: true, force: true });
  });
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return { pid: child.pid ?? 0, stdout, stderr, kill, ended };
}

/** Runs a script to its end. */
export async function runToEnd(...parameters: Parameters<typeof run>) {
  const process = run(...parameters);
  const code = await process.ended;
  return { code, stdout: process.stdout(), stderr: process.stderr() };
}

/** The built service (`npm run build` makes it), listening on a free port. Production expects a migrated database. */
export async function runServer(env: Record<string, string>): Promise<ServiceProcess> {
  const server = run('dist/src/server.js', [], { HOST: '127.0.0.1', ...env, PORT: '0' });
  const [, port] = await printed(server, /"address":\{[^}]*"port":(\d+)\}.*"msg":"listening"/);
  return { ...server, origin: `http://127.0.0.1:${port}` };
}

/** Resolves once the process has printed what matches. @throws Error if it ends before that */
export async function printed(process: Process, pattern: RegExp): Promise<RegExpExecArray> {
  let isOver = false;
  void process.ended.then(() => {
    isOver = true;
  });
  for (;;) {
    const match = pattern.exec(process.stdout());
    if (match) return match;
    if (isOver) throw new Error(`The process ended early: ${process.stderr()}${process.stdout()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (part) => {
    text += part;
  });
  return () => text;
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = await once(child, 'close');
  return code ?? signal;
}
