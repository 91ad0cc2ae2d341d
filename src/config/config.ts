import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import { nearest } from '../utils/nearest.ts';
import { developmentSecrets } from './development-secrets.ts';
import {
  type DatabaseConfig,
  DEFAULT_PORT,
  DEFAULT_SIMULATOR_PORT,
  type Environment,
  environmentSchema,
} from './environment-schema.ts';

/** The service's settings, checked and typed. `.env.example` says what each variable means. */
export interface Config {
  production: boolean;
  server: { host: string; port: number };
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
    /** Whole time of one call. */
    timeoutMs: number;
  };
  /** The port of the Intuit simulator that `npm run dev` starts; absent if a key pair is set. */
  simulatorPort: number | undefined;
  encryptionKeys: string[];
  stateSecrets: string[];
  /** Without a trailing slash. */
  frontendUrl: string;
  callers: {
    apiKeys: { name: string; key: string }[];
    /** Absent where users' JWTs are not taken. */
    jwt: { jwksUrl: string; issuer: string; audience: string; organizationClaim: string } | undefined;
    /** True where production is open on purpose. */
    disabled: boolean;
  };
  rateLimits: { perMinute: number; redisUrl: string | undefined };
  workerEnabled: boolean;
  /** Where events are posted; absent where they are not. */
  webhook: { url: string; secret: string } | undefined;
  /** Express' `trust proxy`. */
  trustProxy: false | number | string[];
}

type EnvironmentSchema = ReturnType<typeof environmentSchema>;

/** What is wrong with how the process was started, one line each, and no variable's value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

const DATA_FOLDER = './data';
const CALLBACK_PATH = '/api/v1/oauth/quickbooks/callback';

const INTUIT = {
  authorizeUrl: 'https://appcenter.intuit.com/connect/oauth2',
  tokenUrl: 'https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer',
  revokeUrl: 'https://developer.api.intuit.com/v2/oauth2/tokens/revoke',
  apiBaseUrl: {
    sandbox: 'https://sandbox-quickbooks.api.intuit.com',
    production: 'https://quickbooks.api.intuit.com',
  },
} as const;

/**
 * The process's environment, completed by a `.env` file in the working directory. A byte order mark, which some editors
 * write, is skipped. @throws ConfigError if the file is not UTF-8
 */
export function readEnvironment(): Environment {
  if (existsSync('.env')) {
    for (const [name, value] of Object.entries(parseEnv(decode(readFileSync('.env'))))) process.env[name] ??= value;
  }
  return process.env;
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(['.env is not UTF-8 text: save it with the encoding UTF-8.']);
  }
}

/** The service's settings, from its variables. @throws ConfigError */
export function loadConfig(environment: Environment): Config {
  const { production, simulated, schema, input } = prepare(environment);
  const env = parse(schema, input, unknownVariables(schema, input));
  return {
    production,
    server: { host: env.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'), port: env.PORT },
    logLevel: env.LOG_LEVEL,
    database: env.DATABASE_URL,
    quickbooks: {
      clientId: env.QBO_CLIENT_ID,
      clientSecret: env.QBO_CLIENT_SECRET,
      environment: env.QBO_ENVIRONMENT,
      redirectUri: env.QBO_REDIRECT_URI,
      authorizeUrl: env.QBO_AUTHORIZE_URL ?? INTUIT.authorizeUrl,
      tokenUrl: env.QBO_TOKEN_URL ?? INTUIT.tokenUrl,
      revokeUrl: env.QBO_REVOKE_URL ?? INTUIT.revokeUrl,
      apiBaseUrl: env.QBO_API_BASE_URL ?? INTUIT.apiBaseUrl[env.QBO_ENVIRONMENT],
      timeoutMs: env.PROVIDER_TIMEOUT_MS,
    },
    simulatorPort: simulated ? env.SIMULATOR_PORT : undefined,
    encryptionKeys: env.ENCRYPTION_KEY,
    stateSecrets: env.OAUTH_STATE_SECRET,
    frontendUrl: env.FRONTEND_URL,
    callers: {
      apiKeys: env.API_KEYS ?? [],
      jwt:
        env.AUTH_JWKS_URL && env.AUTH_ISSUER && env.AUTH_AUDIENCE
          ? {
              jwksUrl: env.AUTH_JWKS_URL,
              issuer: env.AUTH_ISSUER,
              audience: env.AUTH_AUDIENCE,
              organizationClaim: env.AUTH_ORGANIZATION_CLAIM,
            }
          : undefined,
      disabled: env.AUTH_DISABLED,
    },
    rateLimits: { perMinute: env.RATE_LIMIT_PER_MINUTE, redisUrl: env.REDIS_URL },
    workerEnabled: env.WORKER_ENABLED,
    webhook:
      env.EVENTS_WEBHOOK_URL && env.EVENTS_WEBHOOK_SECRET
        ? { url: env.EVENTS_WEBHOOK_URL, secret: env.EVENTS_WEBHOOK_SECRET }
        : undefined,
    trustProxy: env.TRUST_PROXY,
  };
}

/** The database alone, for the commands that need nothing else. @throws ConfigError */
export function loadDatabaseConfig(environment: Environment): DatabaseConfig {
  const { schema, input } = prepare(environment, false);
  return parse(schema.pick({ DATABASE_URL: true }), input).DATABASE_URL;
}

/** The database and the keys, for the command that rotates them. @throws ConfigError */
export function loadKeysConfig(environment: Environment): { database: DatabaseConfig; encryptionKeys: string[] } {
  const { schema, input } = prepare(environment);
  const env = parse(schema.pick({ DATABASE_URL: true, ENCRYPTION_KEY: true }), input);
  return { database: env.DATABASE_URL, encryptionKeys: env.ENCRYPTION_KEY };
}

/** What is given, completed by development's defaults. */
function prepare(environment: Environment, needsSecrets = true) {
  const given = withoutEmpty(environment);
  const production = given['NODE_ENV'] !== 'development' && given['NODE_ENV'] !== 'test';
  const simulated = !production && !given['QBO_CLIENT_ID'] && !given['QBO_CLIENT_SECRET'];
  const input = {
    ...(production ? {} : developmentDefaults(given, needsSecrets)),
    ...(simulated ? simulatorDefaults(given) : {}),
    ...given,
  };
  return { production, simulated, schema: environmentSchema(production, given), input };
}

function developmentDefaults(given: Environment, needsSecrets: boolean): Environment {
  const hasSecrets = given['ENCRYPTION_KEY'] && given['OAUTH_STATE_SECRET'];
  const secrets = hasSecrets || !needsSecrets ? {} : developmentSecrets(DATA_FOLDER);
  return {
    DATABASE_URL: `sqlite:${DATA_FOLDER}/dev.db`,
    QBO_REDIRECT_URI: `http://localhost:${portOr(DEFAULT_PORT, given['PORT'])}${CALLBACK_PATH}`,
    FRONTEND_URL: 'http://localhost:5173',
    ...secrets,
  };
}

function simulatorDefaults(given: Environment): Environment {
  const origin = `http://localhost:${portOr(DEFAULT_SIMULATOR_PORT, given['SIMULATOR_PORT'])}`;
  return {
    QBO_CLIENT_ID: 'simulator-client-id',
    QBO_CLIENT_SECRET: 'simulator-client-secret',
    QBO_AUTHORIZE_URL: `${origin}/connect/oauth2`,
    QBO_TOKEN_URL: `${origin}/oauth2/v1/tokens/bearer`,
    QBO_REVOKE_URL: `${origin}/v2/oauth2/tokens/revoke`,
    QBO_API_BASE_URL: origin,
  };
}

/** A port that is not a number is reported by the schema, under its own name. */
function portOr(standard: number, given = ''): number {
  return /^\d{1,5}$/.test(given) ? Number(given) : standard;
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  input: Environment,
  unknown: Record<string, string> = {},
): z.output<Schema> {
  const result = schema.safeParse(input);
  const invalid = result.error?.issues.map((issue) => [issue.path[0], issue.message] as const) ?? [];
  const problems = new Map([...Object.entries(unknown), ...invalid]);
  if (result.success && problems.size === 0) return result.data;
  throw new ConfigError([...problems].map(([name, problem]) => `${String(name)} ${problem}`));
}

/** What Kubernetes sets for another service called `auth` or `qbo`: AUTH_SERVICE_HOST, AUTH_PORT_80_TCP, … */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$/;

/** Variables whose prefix is this service's and whose name is not: misspelled, they would have no effect. */
function unknownVariables(schema: EnvironmentSchema, input: Environment): Record<string, string> {
  const known = Object.keys(schema.shape);
  const unknown = Object.keys(input).filter(
    (name) => /^(QBO|AUTH)_/.test(name) && !known.includes(name) && !SERVICE_LINK.test(name),
  );
  return Object.fromEntries(
    unknown.map((name) => {
      const meant = nearest(name, known, 3);
      return [name, `is not a variable of this service${meant ? `: did you mean ${meant}?` : ''}`];
    }),
  );
}

/** A variable set to nothing is a variable not set, as container platforms write it. */
function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''));
}
