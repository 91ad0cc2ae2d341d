import supertest from 'supertest';
import { createApp } from '../../src/app.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { type Context, createContext } from '../../src/context.ts';
import { listen } from '../../src/lifecycle.ts';
import { createLogger } from '../../src/logger.ts';
import { Fernet } from '../../src/utils/fernet.ts';
import type { IntuitSimulator } from './intuit-simulator/simulator.ts';
import { type RecordedAnswer, recordAnswers } from './secrets.ts';

export const REDIRECT_URI = 'http://localhost:8080/api/v1/oauth/quickbooks/callback';
export const FRONTEND_URL = 'http://localhost:5173';
export const ENCRYPTION_KEY = Fernet.generateKey();

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

/** The variables of a service that speaks to the simulator. */
export function environment(databaseUrl: string, simulator: IntuitSimulator): Record<string, string> {
  return {
    NODE_ENV: 'test',
    LOG_LEVEL: 'trace',
    DATABASE_URL: databaseUrl,
    QBO_CLIENT_ID: simulator.settings.clientId,
    QBO_CLIENT_SECRET: simulator.settings.clientSecret,
    QBO_REDIRECT_URI: REDIRECT_URI,
    QBO_AUTHORIZE_URL: simulator.urls.authorizeUrl,
    QBO_TOKEN_URL: simulator.urls.tokenUrl,
    QBO_REVOKE_URL: simulator.urls.revokeUrl,
    QBO_API_BASE_URL: simulator.urls.apiBaseUrl,
    ENCRYPTION_KEY,
    OAUTH_STATE_SECRET: 'state-secret-of-the-tests-0123456789abcdef',
    FRONTEND_URL,
    PROVIDER_TIMEOUT_MS: '1000',
    RATE_LIMIT_PER_MINUTE: '100000',
    AUTH_DISABLED: 'true',
  };
}

/** Starts the service in this process. @param env is added to `environment()`. */
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
  return {
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
