import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { IntuitSimulator } from './intuit-simulator/simulator.ts';
import { environment } from './service.ts';

const SERVER = fileURLToPath(new URL('../../dist/src/server.js', import.meta.url));

/** The built service as a process of its own, as production runs it. */
export interface ServiceProcess {
  origin: string;
  pid: number;
  /** Every line of stdout and stderr. */
  logs: string[];
  /** Sends the signal and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves with the exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
}

/**
 * Starts `node dist/src/server.js` (`npm run build` makes it) on a free port, and resolves once it listens.
 * @param options.env is added to `environment()`; the database must be migrated, since production does not do so
 */
export async function startProcess(options: {
  databaseUrl: string;
  simulator: IntuitSimulator;
  env?: Record<string, string>;
}): Promise<ServiceProcess> {
  const { PATH = '' } = process.env;
  const own = { NODE_ENV: 'production', LOG_LEVEL: 'info', HOST: '127.0.0.1', PORT: '0', PATH };
  const env = { ...environment(options.databaseUrl, options.simulator), ...own, ...options.env };
  const child = spawn(process.execPath, [SERVER], { cwd: tmpdir(), env, stdio: ['ignore', 'pipe', 'pipe'] }); // no .env there
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  const logs: string[] = [];
  const port = await Promise.race([listening(child, logs), exited]);
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(`did not start:\n${logs.join('\n')}`);
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    logs,
    kill: async (signal = 'SIGTERM') => {
      child.kill(signal);
      await exited;
    },
    exited,
  };
}

/** Collects the output, and resolves with the port that it tells. */
async function listening(child: ChildProcess, logs: string[]): Promise<number> {
  return new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', (line) => {
        logs.push(line);
        const port = /"address":\{[^}]*"port":(\d+)\}.*"msg":"listening"/.exec(line)?.[1];
        if (port) resolve(Number(port));
      });
    }
  });
}
