import { existsSync, readFileSync, statSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import type { Scope } from '../models/scope.ts';
import type { DatabaseConfig } from './database-url.ts';
import { developmentDefaults, INTUIT, simulatorDefaults } from './defaults.ts';
import { type Environment, environmentSchema } from './environment-schema.ts';
import { hasStrayQuote, plainValue } from './plain-value.ts';
import { type EgressConfig, lowerCaseProxies } from './proxy-url.ts';
import type { RedisConfig } from './redis-url.ts';
import { fileVariable, readSecretFiles, SECRETS } from './secret-files.ts';
import { unknownVariables } from './unknown-variables.ts';

const HOUR_MS = 3_600_000;

/** The service's settings, validated and typed. `.env.example` documents the variables. */
export interface Config {
  production: boolean;
  /** In production operators run the migrations, except for an in-memory database. */
  migrateAtStartup: boolean;
  /** `metricsPort` is absent if `/metrics` is served on `port`. */
  server: {
    host: string;
    port: number;
    metricsPort: number | undefined;
    /** How long an idle connection of a caller stays open. */
    keepAliveMs: number;
    /** How long requests are still accepted after a shutdown signal. */
    shutdownDelayMs: number;
  };
  logLevel: z.output<EnvironmentSchema>['LOG_LEVEL'];
  database: DatabaseConfig;
  quickbooks: {
    clientId: string;
    clientSecret: string;
    environment: 'sandbox' | 'production';
    redirectUri: string;
    authorizeUrl: string;
    tokenUrl: string;
    revokeUrl: string;
    apiBaseUrl: string;
    /** Total time of one call in milliseconds. */
    timeoutMs: number;
    /** Time from the last byte of a gateway request to the headers of its response, in milliseconds. */
    gatewayTimeoutMs: number;
    /** Intuit's limits for calls to one company; 0: none. */
    companyLimits: { perSecond: number; perMinute: number };
  };
  /** The port of the Intuit simulator that `npm run dev` starts; absent if a key pair is set. */
  simulatorPort: number | undefined;
  encryptionKeys: string[];
  stateSecrets: string[];
  /** Where browsers return to by default. Without a trailing slash. */
  frontendUrl: string;
  /** Every frontend, the default one first. Without a trailing slash. */
  frontendUrls: string[];
  /** True if a connection takes effect only after the frontend has confirmed it. */
  connectConfirmation: boolean;
  callers: {
    /** `scopes` is absent if the key has all. */
    apiKeys: { name: string; key: string; scopes?: Scope[] | undefined }[];
    /** Absent if users' JWTs are not accepted. */
    jwt:
      | { jwksUrl: string; issuers: string[]; audiences: string[]; audienceClaim: string; organizationClaim: string }
      | undefined;
    /** True if a JWT has only the scopes that it names. */
    jwtNamesScopes: boolean;
    /** True if the operator chose to require no credentials. */
    disabled: boolean;
  };
  rateLimits: { perMinute: number; redis: RedisConfig | undefined };
  workerEnabled: boolean;
  /** An idle connection is verified after this time; absent if it never is. */
  verifyIdleMs: number | undefined;
  /** Where events are posted; absent if they are not. */
  webhook: { url: string; secrets: string[] } | undefined;
  /** Express' `trust proxy`. */
  trustProxy: false | number | string[];
  egress: EgressConfig;
}

/** How QuickBooks Online is reached. */
export type QuickBooksConfig = Config['quickbooks'];

type EnvironmentSchema = ReturnType<typeof environmentSchema>;

/** The settings are invalid: one line for each problem, without the value of any variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(problems: string[]) {
    super(problems.join('\n'));
  }
}

/**
 * Returns the process's environment, completed by the `.env` file of the working directory. Skips the byte order mark
 * that some editors write. @throws ConfigError if it is not a file, or not UTF-8
 */
export function readEnvironment(): Environment {
  if (existsSync('.env')) {
    if (statSync('.env').isDirectory()) {
      throw new ConfigError(['.env is a folder: Docker creates one if the file that is to be mounted does not exist.']);
    }
    for (const [name, value] of Object.entries(parseEnv(decode(readFileSync('.env'))))) process.env[name] ||= value;
  }
  return process.env;
}

/** Returns the service's settings. @throws ConfigError */
export function loadConfig(environment: Environment): Config {
  const { production, simulated, schema, input, problems } = prepare(environment);
  const known = [...Object.keys(schema.shape), ...SECRETS.map(fileVariable)];
  const env = parse(schema, input, { ...unknownVariables(known, input), ...problems });
  return {
    production,
    migrateAtStartup: !production || isInMemory(env.DATABASE_URL),
    server: {
      host: env.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
      port: env.PORT,
      metricsPort: env.METRICS_PORT,
      keepAliveMs: env.KEEP_ALIVE_TIMEOUT_MS,
      shutdownDelayMs: env.SHUTDOWN_DELAY_MS,
    },
    logLevel: env.LOG_LEVEL,
    database: env.DATABASE_URL,
    quickbooks: quickbooksOf(env),
    simulatorPort: simulated ? env.SIMULATOR_PORT : undefined,
    encryptionKeys: env.ENCRYPTION_KEY,
    stateSecrets: env.OAUTH_STATE_SECRET,
    frontendUrl: env.FRONTEND_URL[0] ?? '',
    frontendUrls: env.FRONTEND_URL,
    connectConfirmation: env.CONNECT_CONFIRMATION,
    callers: {
      apiKeys: env.API_KEYS ?? [],
      jwt:
        env.AUTH_JWKS_URL && env.AUTH_ISSUER && env.AUTH_AUDIENCE
          ? {
              jwksUrl: env.AUTH_JWKS_URL,
              issuers: env.AUTH_ISSUER,
              audiences: env.AUTH_AUDIENCE,
              audienceClaim: env.AUTH_AUDIENCE_CLAIM,
              organizationClaim: env.AUTH_ORGANIZATION_CLAIM,
            }
          : undefined,
      jwtNamesScopes: env.AUTH_SCOPES,
      disabled: env.AUTH_DISABLED,
    },
    rateLimits: { perMinute: env.RATE_LIMIT_PER_MINUTE, redis: env.REDIS_URL },
    workerEnabled: env.WORKER_ENABLED,
    verifyIdleMs: verifyIdleMsOf(env),
    webhook: webhookOf(env),
    trustProxy: env.TRUST_PROXY,
    egress: egressOf(env),
  };
}

/** Returns only the database, for commands that need nothing else. @throws ConfigError */
export function loadDatabaseConfig(environment: Environment): DatabaseConfig {
  const { schema, input, problems } = prepare(environment, { needsSecrets: false });
  return parse(schema.pick({ DATABASE_URL: true }), input, pick(problems, ['DATABASE_URL'])).DATABASE_URL;
}

/** Returns the database and the keys, for the command that rotates them. @throws ConfigError */
export function loadKeysConfig(environment: Environment): { database: DatabaseConfig; encryptionKeys: string[] } {
  const { schema, input, problems } = prepare(environment);
  const needed = schema.pick({ DATABASE_URL: true, ENCRYPTION_KEY: true });
  const env = parse(needed, input, pick(problems, ['DATABASE_URL', 'ENCRYPTION_KEY']));
  return { database: env.DATABASE_URL, encryptionKeys: env.ENCRYPTION_KEY };
}

/**
 * Returns what commands need that act on connections: the database, the keys and the key pair.
 * @param readsCompanies whether the API's address is needed, which depends on the environment
 * @throws ConfigError
 */
export function loadOperatorConfig(environment: Environment, { readsCompanies }: { readsCompanies: boolean }) {
  const { schema, input, problems } = prepare(environment);
  const knowsApi = !readsCompanies || input['QBO_API_BASE_URL'] !== undefined;
  const env = parse(
    schema.pick(OPERATOR_VARIABLES).partial({ QBO_REDIRECT_URI: true, ...(knowsApi ? { QBO_ENVIRONMENT: true } : {}) }),
    input,
    pick(problems, Object.keys(OPERATOR_VARIABLES)),
  );
  return {
    database: env.DATABASE_URL,
    encryptionKeys: env.ENCRYPTION_KEY,
    quickbooks: quickbooksOf({
      ...env,
      QBO_ENVIRONMENT: env.QBO_ENVIRONMENT ?? 'sandbox', // without a use for it
      QBO_REDIRECT_URI: env.QBO_REDIRECT_URI ?? '',
    }),
    verifyIdleMs: verifyIdleMsOf(env),
    webhook: webhookOf(env),
    egress: egressOf(env),
  };
}

const OPERATOR_VARIABLES = {
  DATABASE_URL: true,
  ENCRYPTION_KEY: true,
  QBO_CLIENT_ID: true,
  QBO_CLIENT_SECRET: true,
  QBO_ENVIRONMENT: true,
  QBO_REDIRECT_URI: true,
  QBO_AUTHORIZE_URL: true,
  QBO_TOKEN_URL: true,
  QBO_REVOKE_URL: true,
  QBO_API_BASE_URL: true,
  PROVIDER_TIMEOUT_MS: true,
  GATEWAY_TIMEOUT_MS: true,
  COMPANY_LIMIT_PER_SECOND: true,
  COMPANY_LIMIT_PER_MINUTE: true,
  VERIFY_IDLE_HOURS: true,
  EVENTS_WEBHOOK_URL: true,
  EVENTS_WEBHOOK_SECRET: true,
  HTTPS_PROXY: true,
  HTTP_PROXY: true,
  NO_PROXY: true,
} as const;

type Values = z.output<EnvironmentSchema>;

type QuickBooksVariable =
  | Extract<keyof Values, `QBO_${string}` | `COMPANY_LIMIT_${string}`>
  | 'PROVIDER_TIMEOUT_MS'
  | 'GATEWAY_TIMEOUT_MS';

function quickbooksOf(env: Pick<Values, QuickBooksVariable>): QuickBooksConfig {
  return {
    clientId: env.QBO_CLIENT_ID,
    clientSecret: env.QBO_CLIENT_SECRET,
    environment: env.QBO_ENVIRONMENT,
    redirectUri: env.QBO_REDIRECT_URI,
    authorizeUrl: env.QBO_AUTHORIZE_URL ?? INTUIT.authorizeUrl,
    tokenUrl: env.QBO_TOKEN_URL ?? INTUIT.tokenUrl,
    revokeUrl: env.QBO_REVOKE_URL ?? INTUIT.revokeUrl,
    apiBaseUrl: env.QBO_API_BASE_URL ?? INTUIT.apiBaseUrl[env.QBO_ENVIRONMENT],
    timeoutMs: env.PROVIDER_TIMEOUT_MS,
    gatewayTimeoutMs: env.GATEWAY_TIMEOUT_MS,
    companyLimits: { perSecond: env.COMPANY_LIMIT_PER_SECOND, perMinute: env.COMPANY_LIMIT_PER_MINUTE },
  };
}

function webhookOf(env: Pick<Values, 'EVENTS_WEBHOOK_URL' | 'EVENTS_WEBHOOK_SECRET'>): Config['webhook'] {
  const { EVENTS_WEBHOOK_URL: url, EVENTS_WEBHOOK_SECRET: secrets } = env;
  return url && secrets ? { url, secrets } : undefined;
}

/** HTTP_PROXY also serves https origins if it is the only one, as in undici. */
function egressOf(env: Pick<Values, 'HTTPS_PROXY' | 'HTTP_PROXY' | 'NO_PROXY'>): EgressConfig {
  const { HTTPS_PROXY: httpsProxy = env.HTTP_PROXY, HTTP_PROXY: httpProxy, NO_PROXY: noProxy } = env;
  return { httpProxy, httpsProxy, noProxy };
}

function verifyIdleMsOf({ VERIFY_IDLE_HOURS: hours }: Pick<Values, 'VERIFY_IDLE_HOURS'>): number | undefined {
  return hours > 0 ? hours * HOUR_MS : undefined;
}

/** Completes the given variables with development's defaults, and chooses the schema that they must satisfy. */
function prepare(environment: Environment, { needsSecrets = true } = {}) {
  const plain = plainValues(environment);
  const variables = { ...plain, ...lowerCaseProxies(plain) };
  const { values, problems } = readSecretFiles(variables);
  const given = { ...variables, ...values };
  const production = given['NODE_ENV'] !== 'development' && given['NODE_ENV'] !== 'test';
  const simulated = !production && !given['QBO_CLIENT_ID'] && !given['QBO_CLIENT_SECRET'];
  const input = {
    ...(production ? {} : developmentDefaults(given, needsSecrets)),
    ...(simulated ? simulatorDefaults(given) : {}),
    ...given,
  };
  return { production, simulated, schema: environmentSchema(production, given), input, problems };
}

/** @param others problems that the schema does not find; one of a variable replaces the schema's */
function parse<Schema extends z.ZodObject>(
  schema: Schema,
  input: Environment,
  others: Record<string, string>,
): z.output<Schema> {
  const result = schema.safeParse(input);
  const invalid = result.error?.issues.map((issue) => [issue.path[0], issue.message] as const) ?? [];
  const stray = strayQuotes(Object.keys(schema.shape), input);
  const problems = new Map([...invalid, ...Object.entries(stray), ...Object.entries(others)]);
  if (result.success && problems.size === 0) return result.data;
  throw new ConfigError([...problems].map(([name, problem]) => `${String(name)} ${problem}`));
}

function pick(problems: Record<string, string>, names: string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(problems).filter(([name]) => names.includes(name)));
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(['.env is not UTF-8 text: save it with the encoding UTF-8.']);
  }
}

/** Removes variables that are set to nothing: container platforms write them for variables that are not set. */
function plainValues(environment: Environment): Environment {
  const values = Object.entries(environment).map(([name, value = '']) => [name, plainValue(value)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== ''));
}

/** Returns a problem for each known variable with a quotation mark that is not one of a pair around its value. */
function strayQuotes(known: string[], input: Environment): Record<string, string> {
  const stray = known.filter((name) => hasStrayQuote(input[name] ?? ''));
  return Object.fromEntries(stray.map((name) => [name, 'begins or ends with a quotation mark: remove it']));
}

function isInMemory(database: DatabaseConfig): boolean {
  return database.client === 'sqlite' && database.filename === ':memory:';
}
