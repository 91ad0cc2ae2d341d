import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A child process in a working directory of its own. It is killed when this process exits. */
export interface Process {
  pid: number;
  stdout(): string;
  stderr(): string;
  /** Sends a signal. Resolves once the process has ended. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** The exit code, or the signal that ended the process. */
  ended: Promise<number | NodeJS.Signals>;
}

/** A process that listens for HTTP requests. */
export type ServiceProcess = Process & { origin: string };

interface ProcessOptions {
  /** The program; Node by default. */
  command?: string;
  args: string[];
  /** All variables of the process, besides PATH. */
  env: Record<string, string>;
  /** Deleted when the process has ended. */
  cwd?: string;
  /** Receives the standard output, which is kept in memory otherwise; `unread`: a pipe that is not read. */
  stdoutFile?: string;
}

/** Creates a working directory for one process, so that it does not read the checkout's `.env`. */
export function emptyFolder(): string {
  return mkdtempSync(join(tmpdir(), 'process-'));
}

/** Returns the absolute path of a file in this project. */
export function projectFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Starts a process. */
export function startProcess(options: ProcessOptions): Process {
  const { command = process.execPath, args, env, cwd = emptyFolder(), stdoutFile } = options;
  const isFile = stdoutFile !== undefined && stdoutFile !== 'unread';
  const output = isFile ? openSync(stdoutFile, 'w') : 'pipe';
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', output, 'pipe'],
  });
  if (typeof output === 'number') closeSync(output);
  const killOnExit = () => child.kill('SIGKILL');
  process.once('exit', killOnExit);
  const stderr = collect(child.stderr);
  const stdout = isFile ? () => readFileSync(stdoutFile, 'utf8') : collect(stdoutFile ? null : child.stdout);
  const ended = once(child, stdoutFile === 'unread' ? 'exit' : 'close')
    .then(([code, signal]) => code ?? signal)
    .finally(() => {
      process.off('exit', killOnExit);
      child.stdout?.destroy();
      rmSync(cwd, { recursive: true, force: true });
    });
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return { pid: child.pid ?? 0, stdout, stderr, kill, ended };
}

/** Starts a script of this project. */
export function run(script: string, args: string[], env: Record<string, string>, cwd = emptyFolder()): Process {
  return startProcess({ args: [projectFile(script), ...args], env, cwd });
}

/** Starts development as `npm run dev` does, in a folder of its own. */
export function runDevelopment(env: Record<string, string>): Process {
  return startProcess({ args: ['--import', import.meta.resolve('tsx'), projectFile('dev/main.ts')], env });
}

/** Runs a script of this project to its end. */
export async function runToEnd(...parameters: Parameters<typeof run>) {
  const process = run(...parameters);
  const code = await process.ended;
  return { code, stdout: process.stdout(), stderr: process.stderr() };
}

/**
 * Starts a server on a free port and resolves once it listens: by default the built service (`npm run build`). Any other
 * logs its address as the service does. In production the database must be migrated.
 */
export async function runServer(
  env: Record<string, string>,
  { args = [projectFile('dist/src/server.js')], ...options }: Partial<Omit<ProcessOptions, 'env'>> = {},
): Promise<ServiceProcess> {
  const server = startProcess({ args, ...options, env: { HOST: '127.0.0.1', ...env, PORT: '0' } });
  const [, port] = await printed(server, /"address":\{[^}]*"port":(\d+)\}.*"msg":"listening"/);
  return { ...server, origin: `http://127.0.0.1:${port}` };
}

/** Resolves once the process has printed what matches. @throws Error if it ends before that */
export async function printed(process: Process, pattern: RegExp): Promise<RegExpExecArray> {
  let hasEnded = false;
  void process.ended.then(() => {
    hasEnded = true;
  });
  for (;;) {
    const match = pattern.exec(process.stdout());
    if (match) return match;
    if (hasEnded) throw new Error(`The process ended early: ${process.stderr()}${process.stdout()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (part) => {
    text += part;
  });
  return () => text;
}
