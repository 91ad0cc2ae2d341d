import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_SETTINGS, urlsOf } from '../../dev/intuit-simulator/simulator.ts';
import { submitConsent } from '../../dev/intuit-simulator/submit-consent.ts';
import { INTUIT_LIMITS } from '../../dev/intuit-simulator/throttle.ts';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { environment } from '../../test/support/environment.ts';
import { createOnServer } from '../../test/support/own-database.ts';
import { projectFile, runServer, type ServiceProcess } from '../../test/support/processes.ts';
import { startRedis } from '../../test/support/redis-server.ts';
import { startCommand } from '../environment.ts';

/** Two replicas, and the organizations that are connected. */
export interface SoakEnvironment {
  quickbooks: ServiceProcess;
  replicas: ServiceProcess[];
  logFiles: string[];
  organizations: string[];
  /** Credentials of the callers. */
  headers: Record<string, string>;
  /** The port of each server that the replicas call, by its name. */
  ports: Record<'QuickBooks' | 'MySQL' | 'Redis', number>;
}

/** So short that each connection is refreshed every few minutes. */
export const ACCESS_TOKEN_SECONDS = 600;
const REPLICAS = 2;
const API_KEY = 'soak-key-0123456789-0123456789-abcdef';
const HEADERS = { authorization: `Bearer ${API_KEY}` };

/** Starts the environment for `work`, and closes it even if `work` fails. */
export async function withSoakEnvironment<T>(
  serverUrl: string,
  companies: number,
  work: (environment: SoakEnvironment) => Promise<T>,
): Promise<T> {
  const cleanUp: (() => unknown)[] = [];
  const start = async (...parameters: Parameters<typeof runServer>) => {
    const server = await runServer(...parameters);
    cleanUp.push(() => server.kill('SIGTERM'));
    return server;
  };
  try {
    const database = await createOnServer(serverUrl);
    cleanUp.push(database.drop);
    const knex = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    await migrateUp(knex).finally(() => knex.destroy());
    const redis = await startRedis();
    cleanUp.push(redis.close);
    const folder = await mkdtemp(join(tmpdir(), 'soak-'));
    cleanUp.push(() => rm(folder, { recursive: true, force: true }));
    const organizations = Array.from({ length: companies }, (_, index) => `org-${index + 1}`);
    const names = Object.fromEntries(organizations.map((organization) => [realmOf(organization), organization]));
    const quickbooks = await start(
      { COMPANIES: JSON.stringify(names), ACCESS_TOKEN_SECONDS: String(ACCESS_TOKEN_SECONDS) },
      { args: ['--import', import.meta.resolve('tsx'), projectFile('bench/soak/quickbooks.ts')] },
    );
    const variables = variablesOf(database.url, redis.url, quickbooks);
    const logFiles = Array.from({ length: REPLICAS }, (_, index) => join(folder, `replica-${index + 1}.log`));
    const args = await startCommand();
    const replicas = await Promise.all(logFiles.map((stdoutFile) => start(variables, { args, stdoutFile })));
    for (const organization of organizations) await connect(replicas[0] as ServiceProcess, quickbooks, organization);
    const ports = { QuickBooks: portOf(quickbooks.origin), MySQL: portOf(serverUrl), Redis: portOf(redis.url) };
    return await work({ quickbooks, replicas, logFiles, organizations, headers: HEADERS, ports });
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

function variablesOf(databaseUrl: string, redisUrl: string, { origin }: ServiceProcess): Record<string, string> {
  const { AUTH_DISABLED: _, ...variables } = environment(databaseUrl, {
    urls: urlsOf(origin),
    settings: DEFAULT_SETTINGS,
  });
  return {
    ...variables,
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    REDIS_URL: redisUrl,
    API_KEYS: `soak:${API_KEY}`,
    RATE_LIMIT_PER_MINUTE: '200',
    COMPANY_LIMIT_PER_SECOND: String(INTUIT_LIMITS.perSecond),
    COMPANY_LIMIT_PER_MINUTE: String(INTUIT_LIMITS.perMinute),
  };
}

/** A browser's way through connect, consent and callback. */
async function connect(replica: ServiceProcess, quickbooks: ServiceProcess, organization: string): Promise<void> {
  const url = `${replica.origin}/api/v1/oauth/quickbooks/connect/${organization}`;
  const started = await fetch(url, { headers: HEADERS, redirect: 'manual' });
  const { authorizeUrl } = urlsOf(quickbooks.origin);
  const choice = { realmId: realmOf(organization) };
  const callback = new URL(await submitConsent(authorizeUrl, started.headers.get('location') ?? '', choice));
  const cookie = started.headers.get('set-cookie')?.split(';')[0] ?? '';
  const path = `${callback.pathname}${callback.search}`;
  const { status } = await fetch(replica.origin + path, { headers: { cookie }, redirect: 'manual' });
  if (status !== 302) throw new Error(`the callback returned ${status}`);
}

function realmOf(organization: string): string {
  return organization.replace('org-', '9341452');
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
