import { type IntuitSimulatorOptions, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { loadDatabaseConfig } from '../../src/config/config.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { openKnex } from '../../src/db/session.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { retry } from '../../src/utils/retry.ts';
import { environment } from '../support/environment.ts';
import { createOnServer } from '../support/own-database.ts';
import { projectFile, runServer } from '../support/processes.ts';
import { startTcpRelay } from '../support/tcp-relay.ts';
import { startDatabaseServer } from './database-server.ts';
import { TestEnvironment } from './environment.ts';

/** How long a slow machine may take to connect to the database. */
const START_MS = 60_000;

export interface EnvironmentOptions {
  /** PROVIDER_TIMEOUT_MS; by default that of production. */
  timeoutMs?: number;
  intuit?: IntuitSimulatorOptions;
  /** Options of Node for both replicas. */
  nodeArguments?: string[];
  /** Whether the database is on a server of its own, which scenarios may stop. */
  hasDatabaseServer?: boolean;
  /** What this server can store, in MiB. Default: no limit. */
  databaseMebibytes?: number;
}

/** Starts an environment for `work`, and closes it even if `work` fails. */
export async function withEnvironment(
  { timeoutMs = 10_000, intuit, nodeArguments = [], hasDatabaseServer, databaseMebibytes }: EnvironmentOptions,
  serverUrl: string,
  work: (environment: TestEnvironment) => Promise<void>,
): Promise<void> {
  const cleanUp: (() => unknown)[] = [];
  try {
    const databaseServer = hasDatabaseServer ? await startDatabaseServer(serverUrl, databaseMebibytes) : undefined;
    if (databaseServer) cleanUp.push(databaseServer.close);
    const database = await createOnServer(databaseServer?.url ?? serverUrl);
    cleanUp.push(database.drop);
    const knex = openKnex(loadDatabaseConfig({ DATABASE_URL: database.url }));
    cleanUp.push(() => knex.destroy());
    await retry(() => migrateUp(knex), { clock: systemClock, timeoutMs: START_MS, isRetryable: isTooSlow });
    const simulator = await startIntuitSimulator(intuit);
    cleanUp.push(simulator.close);
    const relay = await startTcpRelay(simulator.urls.tokenUrl);
    cleanUp.push(relay.close);
    const variables = {
      ...environment(database.url, simulator),
      NODE_ENV: 'production',
      LOG_LEVEL: 'info',
      QBO_ENVIRONMENT: 'sandbox',
      PROVIDER_TIMEOUT_MS: String(timeoutMs),
      GATEWAY_TIMEOUT_MS: String(timeoutMs),
      QBO_TOKEN_URL: relay.url,
    };
    const startReplica = async () => {
      const args = [...nodeArguments, projectFile('dist/src/server.js')];
      const replica = await runServer(variables, { args });
      cleanUp.push(() => replica.kill('SIGKILL'));
      return replica;
    };
    const replicas = await Promise.all([startReplica(), startReplica()]);
    const started = new TestEnvironment({ simulator, relay, replicas, knex, databaseServer });
    cleanUp.push(() => started.stopTraffic());
    cleanUp.push(() => databaseServer?.start());
    await work(started);
  } finally {
    for (const step of cleanUp.reverse())
      await (async () => step())().catch((error) => process.stderr.write(`${error}\n`));
  }
}

function isTooSlow(error: unknown): boolean {
  return (error as Error).name === 'KnexTimeoutError';
}
