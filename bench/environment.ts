import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fernet } from '../src/crypto/fernet.ts';
import { projectFile, runServer, type ServiceProcess } from '../test/support/processes.ts';
import { createFilled, type FilledDatabase } from './database.ts';
import type { Target } from './load.ts';

/** The processes to measure. */
export interface BenchmarkEnvironment {
  service: ServiceProcess;
  status: { baseline: Target; service: Target; serviceOnLargeTable: Target };
  gateway: { direct: Target; baseline: Target; service: Target };
  /** The same status in FastAPI and SQLAlchemy; absent without a Python that has them. */
  fastApi?: Target;
}

interface EnvironmentOptions {
  serverUrl: string;
  rows: number;
  rowsOfLargeTable: number;
  /** A Python that has FastAPI, SQLAlchemy, aiomysql and uvicorn. */
  python: string | undefined;
}

const API_KEY = 'bench-key-0123456789-0123456789-abcdef';

/** Starts the environment for `work`, and closes it even if `work` fails. */
export async function withEnvironment<T>(
  { serverUrl, rows, rowsOfLargeTable, python }: EnvironmentOptions,
  work: (environment: BenchmarkEnvironment) => Promise<T>,
): Promise<T> {
  const cleanUp: (() => Promise<unknown>)[] = [];
  try {
    const encryptionKey = Fernet.generateKey();
    const fill = async (count: number) => {
      const database = await createFilled(serverUrl, count, encryptionKey);
      cleanUp.push(database.drop);
      return database;
    };
    const start = async (...parameters: Parameters<typeof runServer>) => {
      const server = await runServer(...parameters);
      cleanUp.push(() => server.kill('SIGTERM'));
      return server;
    };
    const [database, largeDatabase] = [await fill(rows), await fill(rowsOfLargeTable)];
    const logFolder = await mkdtemp(join(tmpdir(), 'bench-'));
    cleanUp.push(() => rm(logFolder, { recursive: true, force: true }));
    const upstream = await start({}, { args: script('upstream.ts') });
    const baseline = await start(
      {
        NODE_ENV: 'production',
        DATABASE_URL: database.url,
        ENCRYPTION_KEY: encryptionKey,
        QBO_API_BASE_URL: upstream.origin,
      },
      { args: script('baseline.ts') },
    );
    const startService = async ({ url }: FilledDatabase, stdoutFile: string) =>
      start(variables(url, encryptionKey, upstream.origin), {
        args: await startCommand(),
        stdoutFile: join(logFolder, stdoutFile),
      });
    const service = await startService(database, 'service.log');
    const serviceOnLargeTable = await startService(largeDatabase, 'large-table.log');
    const fastApi =
      python &&
      (await start(
        { DATABASE_URL: database.url, API_KEY },
        { command: python, args: [projectFile('bench/fastapi_status.py')] },
      ));
    return await work({
      ...(fastApi ? { fastApi: statusTarget(fastApi, database) } : {}),
      service,
      status: {
        baseline: statusTarget(baseline, database),
        service: statusTarget(service, database),
        serviceOnLargeTable: statusTarget(serviceOnLargeTable, largeDatabase),
      },
      gateway: {
        direct: companyTarget(upstream, database, '/v3/company'),
        baseline: companyTarget(baseline, database, '/api/v1/quickbooks'),
        service: companyTarget(service, database, '/api/v1/quickbooks'),
      },
    });
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

/** The arguments with which `npm start` runs Node. */
export async function startCommand(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(projectFile('package.json'), 'utf8'));
  const [, ...args]: string[] = scripts.start.split(' ');
  return args.map((arg) => (arg.endsWith('.js') ? projectFile(arg) : arg));
}

function script(name: string): string[] {
  return ['--import', import.meta.resolve('tsx'), projectFile(`bench/${name}`)];
}

/** Everything is on, as in production. The limits count every request and are too high to reject any. */
function variables(databaseUrl: string, encryptionKey: string, quickbooksUrl: string): Record<string, string> {
  return {
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: encryptionKey,
    OAUTH_STATE_SECRET: 'state-secret-of-the-benchmark-0123456789',
    API_KEYS: `bench:${API_KEY}`,
    RATE_LIMIT_PER_MINUTE: '1000000',
    COMPANY_LIMIT_PER_SECOND: '10000',
    COMPANY_LIMIT_PER_MINUTE: '100000',
    FRONTEND_URL: 'http://localhost:5173',
    QBO_CLIENT_ID: 'client-id',
    QBO_CLIENT_SECRET: 'client-secret',
    QBO_ENVIRONMENT: 'sandbox',
    QBO_REDIRECT_URI: 'http://localhost:8080/api/v1/oauth/quickbooks/callback',
    QBO_TOKEN_URL: quickbooksUrl,
    QBO_REVOKE_URL: quickbooksUrl,
    QBO_API_BASE_URL: quickbooksUrl,
  };
}

function statusTarget(server: ServiceProcess, { organizations }: FilledDatabase): Target {
  const paths = organizations.map((organization) => `/api/v1/oauth/quickbooks/status/${organization}`);
  return { server, paths, headers: { authorization: `Bearer ${API_KEY}` }, expectedText: '"connected":true' };
}

function companyTarget(server: ServiceProcess, { organizations }: FilledDatabase, prefix: string): Target {
  const paths = organizations.map((organization) => `${prefix}/${organization}/companyinfo/1`);
  return { server, paths, headers: { authorization: `Bearer ${API_KEY}` }, expectedText: '"CompanyInfo"' };
}
