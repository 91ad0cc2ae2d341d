import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Fernet } from '../../src/utils/fernet.ts';
import type { IntuitSimulator } from '../support/intuit-simulator/simulator.ts';

const SERVER = fileURLToPath(new URL('../../dist/src/server.js', import.meta.url));
const ENCRYPTION_KEY = Fernet.generateKey();

/** The built service as a process of its own, as production runs it. */
export interface Replica {
  origin: string;
  /** Every line of its output. */
  logs: string[];
  /** The exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves once it has ended, with how it did. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts `node dist/src/server.js` on a free port; resolves once it listens. @param env is added to its variables */
export async function startReplica(
  databaseUrl: string,
  simulator: IntuitSimulator,
  env: Record<string, string>,
): Promise<Replica> {
  const variables = { ...environment(databaseUrl, simulator), ...env };
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(process.execPath, [SERVER], { cwd: tmpdir(), env: variables, stdio }); // no .env there
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const logs: string[] = [];
  const port = await Promise.race([listening(child, logs), exited.then(() => undefined)]);
  if (!port) throw new Error(`the service did not start: ${logs.join(' ')}`);
  return {
    origin: `http://127.0.0.1:${port}`,
    logs,
    exited: exited.finally(() => process.off('exit', killWithUs)),
    signal: (signal) => void child.kill(signal),
    kill: async (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

function environment(databaseUrl: string, { settings, urls }: IntuitSimulator): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: databaseUrl,
    QBO_CLIENT_ID: settings.clientId,
    QBO_CLIENT_SECRET: settings.clientSecret,
    QBO_REDIRECT_URI: 'http://localhost:8080/api/v1/oauth/quickbooks/callback',
    QBO_AUTHORIZE_URL: urls.authorizeUrl,
    QBO_TOKEN_URL: urls.tokenUrl,
    QBO_REVOKE_URL: urls.revokeUrl,
    QBO_API_BASE_URL: urls.apiBaseUrl,
    ENCRYPTION_KEY,
    OAUTH_STATE_SECRET: 'state-secret-of-the-faults-0123456789abcdef',
    FRONTEND_URL: 'http://localhost:5173',
    AUTH_DISABLED: 'true',
    RATE_LIMIT_PER_MINUTE: '100000',
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
