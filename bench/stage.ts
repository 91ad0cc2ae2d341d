import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fernet } from '../src/crypto/fernet.ts';
import { type Measured, startChild } from './child.ts';
import { createFilled, type FilledDatabase } from './database.ts';
import type { Target } from './load.ts';

const API_KEY = 'bench-key-0123456789-0123456789-abcdef';
const ASKED_FOR = 2_000;

/** All that is measured: the service on few and on many rows, the floor beside it, and a QuickBooks for the gateway. */
export interface Stage {
  service: Measured;
  status: { floor: Target; service: Target; serviceOnManyRows: Target };
  gateway: { direct: Target; service: Target };
  close(): Promise<void>;
}

/** Sets it all up. Whatever was begun is taken down again where a step fails. */
export async function setStage(serverUrl: string, rows: number, manyRows: number): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  const begun = <T>(started: T, end: (started: T) => Promise<unknown>) => {
    undo.push(() => end(started));
    return started;
  };
  try {
    const key = Fernet.generateKey();
    const fill = async (count: number) =>
      begun(await createFilled(serverUrl, count, new Fernet([key])), (database) => database.drop());
    const [few, many] = [await fill(rows), await fill(manyRows)];
    const folder = begun(await mkdtemp(join(tmpdir(), 'bench-')), (path) => rm(path, { recursive: true, force: true }));
    const start = async (args: string[], env: Record<string, string>, output?: number) =>
      begun(await startChild(args, env, output), (child) => child.stop());
    const upstream = await start(script('upstream.ts'), {});
    const floor = await start(script('floor.ts'), { DATABASE_URL: few.url });
    const startService = async ({ url }: FilledDatabase, name: string) => {
      const log = begun(await open(join(folder, name), 'w'), (file) => file.close());
      return start(await startScript(), variables(url, key, upstream.origin), log.fd);
    };
    const service = await startService(few, 'few.log');
    const onManyRows = await startService(many, 'many.log');
    return {
      service,
      status: {
        floor: status(floor, few),
        service: status(service, few),
        serviceOnManyRows: status(onManyRows, many),
      },
      gateway: {
        direct: company(upstream, few, '/v3/company'),
        service: company(service, few, '/api/v1/quickbooks'),
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** As `npm start` runs the service, from another folder. */
async function startScript(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  const [, ...args]: string[] = scripts.start.split(' ');
  return args.map((arg) => (arg.endsWith('.js') ? fileURLToPath(new URL(`../${arg}`, import.meta.url)) : arg));
}

function script(name: string): string[] {
  return ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL(name, import.meta.url))];
}

/** Everything on that production has on; the limit is so high that it counts and refuses nothing. */
function variables(databaseUrl: string, encryptionKey: string, quickbooksUrl: string): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: encryptionKey,
    OAUTH_STATE_SECRET: 'state-secret-of-the-benchmark-0123456789',
    API_KEYS: `bench:${API_KEY}`,
    RATE_LIMIT_PER_MINUTE: '1000000',
    FRONTEND_URL: 'http://localhost:5173',
    QBO_ENVIRONMENT: 'sandbox',
    QBO_CLIENT_ID: 'client-id',
    QBO_CLIENT_SECRET: 'client-secret',
    QBO_REDIRECT_URI: 'http://localhost:8080/api/v1/oauth/quickbooks/callback',
    QBO_TOKEN_URL: quickbooksUrl,
    QBO_REVOKE_URL: quickbooksUrl,
    QBO_API_BASE_URL: quickbooksUrl,
  };
}

function status(process: Measured, { rows }: FilledDatabase): Target {
  const paths = organizations(rows).map((organization) => `/api/v1/oauth/quickbooks/status/${organization}`);
  return { process, paths, headers: { authorization: `Bearer ${API_KEY}` }, holds: '"connected":true' };
}

function company(process: Measured, { rows }: FilledDatabase, prefix: string): Target {
  const paths = organizations(rows).map((organization) => `${prefix}/${organization}/companyinfo/1`);
  return { process, paths, headers: { authorization: `Bearer ${API_KEY}` }, holds: '"CompanyInfo"' };
}

function organizations(rows: number): string[] {
  return Array.from({ length: ASKED_FOR }, () => `org-${1 + Math.floor(Math.random() * rows)}`);
}
