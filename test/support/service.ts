import { afterAll } from '@jest/globals';
import supertest from 'supertest';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { createApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { type Context, createContext } from '../../src/context.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { listen } from '../../src/lifecycle/listen.ts';
import { createLogger } from '../../src/observability/logger.ts';
import type { AccountingStrategy } from '../../src/strategies/accounting-strategy.ts';
import { type Clock, systemClock } from '../../src/utils/clock.ts';
import { expectDocumented } from './documented.ts';
import { environment } from './environment.ts';
import { type RecordedResponse, recordResponses } from './secrets.ts';

/** The real service on a free port, its log kept. */
export interface TestService {
  origin: string;
  config: Config;
  context: Context;
  /** Every line logged, at level trace. */
  logs: string[];
  /** Every response sent. */
  responses: RecordedResponse[];
  http: ReturnType<typeof supertest.agent>;
  close(): Promise<void>;
}

export interface StartOptions {
  databaseUrl: string;
  simulator: IntuitSimulator;
  /** Added to `environment()`. */
  env?: Record<string, string>;
  clock?: Clock;
  /** In place of the configured ones. */
  strategies?: readonly AccountingStrategy[];
  /** Where log lines go; a list of its own by default. */
  logs?: string[];
}

/** Every service that this test file started. */
const started: TestService[] = [];

afterAll(() => expectDocumented(started));

/** Starts the service in this process. At the end of the file, its responses are compared with the API reference. */
export async function startService(options: StartOptions): Promise<TestService> {
  const { logs = [] } = options;
  const context = await startReplica({ ...options, logs });
  const responses: RecordedResponse[] = [];
  const server = await listen(recordResponses(createApp(context), responses), { host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${server.address.port}`;
  const service: TestService = {
    origin,
    config: context.config,
    context,
    logs,
    responses,
    http: supertest.agent(origin),
    close: async () => {
      await server.close();
      await context.close();
    },
  };
  started.push(service);
  return service;
}

/** The service's parts without HTTP, on a database that may still be empty. */
export async function startReplica({ logs = [], ...options }: StartOptions): Promise<Context> {
  const { clock = systemClock } = options;
  const config = loadConfig({ ...environment(options.databaseUrl, options.simulator), ...options.env });
  const logger = await createLogger(config, { write: (line) => logs.push(line) });
  const context = createContext(config, logger, {
    clock,
    jobPauseMs: 0,
    ...(options.strategies ? { strategies: options.strategies } : {}),
  });
  if (config.migrateAtStartup) await context.session.query(migrateUp);
  return context;
}

const PREFIX = '/api/v1/oauth/quickbooks';

/** A browser's way through connect and consent. Returns the callback's path, and the browser's cookie. */
export async function consent(
  service: { origin: string },
  simulator: IntuitSimulator,
  organizationId: string,
  choice: { realmId?: string; consent?: boolean } = {},
): Promise<{ path: string; cookie: string }> {
  const response = await supertest(service.origin).get(`${PREFIX}/connect/${organizationId}`).expect(302);
  const callback = new URL(await simulator.authorize(response.headers['location'] ?? '', choice));
  const cookie = String(response.headers['set-cookie']).split(';')[0] ?? '';
  return { path: `${callback.pathname}${callback.search}`, cookie };
}

/** The whole flow of one browser: connect, consent, callback. */
export async function connect(
  service: { origin: string },
  simulator: IntuitSimulator,
  organizationId: string,
  choice: { realmId?: string; consent?: boolean } = {},
): Promise<supertest.Response> {
  const { path, cookie } = await consent(service, simulator, organizationId, choice);
  return supertest(service.origin).get(path).set('Cookie', cookie);
}

/** The organization's status as the frontend reads it. */
export async function status(service: { origin: string }, organizationId: string): Promise<Record<string, unknown>> {
  const response = await supertest(service.origin).get(`${PREFIX}/status/${organizationId}`).expect(200);
  return response.body;
}

/** Disconnects as the frontend does. */
export async function disconnect(service: { origin: string }, organizationId: string): Promise<supertest.Response> {
  return supertest(service.origin).post(`${PREFIX}/disconnect/${organizationId}`);
}
