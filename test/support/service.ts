import { afterAll } from '@jest/globals';
import supertest from 'supertest';
import type { IntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { createApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { type Context, createContext } from '../../src/context.ts';
import { listen } from '../../src/lifecycle.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { expectDocumented } from './documented.ts';
import { environment } from './environment.ts';
import { type RecordedAnswer, recordAnswers } from './secrets.ts';

/** The real service on a free port, its log kept. */
export interface TestService {
  origin: string;
  config: Config;
  context: Context;
  /** Every line logged, at level trace. */
  logs: string[];
  /** Every answer given. */
  answers: RecordedAnswer[];
  http: ReturnType<typeof supertest.agent>;
  close(): Promise<void>;
}

/** Every service that this test file started. */
const started: TestService[] = [];

afterAll(() => expectDocumented(started));

/** Starts the service in this process, and has its answers checked in the end. @param env is added to `environment()`. */
export async function startService(options: {
  databaseUrl: string;
  simulator: IntuitSimulator;
  env?: Record<string, string>;
  now?: () => Date;
}): Promise<TestService> {
  const config = loadConfig({ ...environment(options.databaseUrl, options.simulator), ...options.env });
  const logs: string[] = [];
  const logger = await createLogger(config, { write: (line) => logs.push(line) });
  const context = await createContext(config, logger, options.now);
  const answers: RecordedAnswer[] = [];
  const server = await listen(recordAnswers(createApp(context), answers), { host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${server.address.port}`;
  const service: TestService = {
    origin,
    config,
    context,
    logs,
    answers,
    http: supertest.agent(origin),
    close: async () => {
      await server.close();
      await context.close();
    },
  };
  started.push(service);
  return service;
}

const PREFIX = '/api/v1/oauth/quickbooks';

/** A browser's way through connect and consent: the callback it is sent to, and the cookie it brings. */
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
