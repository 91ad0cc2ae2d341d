import { z } from 'zod';
import { Fernet } from '../crypto/fernet.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { parseProxyUrl } from './proxy-url.ts';
import { parseRedisUrl } from './redis-url.ts';
import {
  apiKeys,
  flag,
  httpUrl,
  httpUrls,
  isLoopback,
  list,
  parsedUrl,
  proxyExceptions,
  required,
  trustProxy,
  webhookSecrets,
  wholeNumber,
  withoutTrailingSlash,
  word,
  words,
} from './variable-types.ts';

/** Variables by name, as a process receives them. */
export type Environment = Record<string, string | undefined>;

/** Where Intuit sends browsers, after the prefix that the service may have behind a proxy. */
export const CALLBACK_PATH = '/api/v1/oauth/quickbooks/callback';
export const DEFAULT_PORT = 8080;
/** Longer than proxies keep idle connections, usually 60 s, so that the proxy is the one that closes them. */
export const DEFAULT_KEEP_ALIVE_MS = 65_000;
export const DEFAULT_SIMULATOR_PORT = 8090;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Every variable of the service, and the values it accepts. @param given decides which variables require others */
export function environmentSchema(production: boolean, given: Environment = {}) {
  const url = httpUrl({ production, allowQuery: false });
  const urlWithQuery = httpUrl({ production, allowQuery: true });
  const acceptsJwts = ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'].some((name) => given[name]);
  const allOrNone = <Schema extends z.ZodType>(schema: Schema) => (acceptsJwts ? schema : schema.optional());
  const hasCallers = Boolean(given['API_KEYS']) || acceptsJwts;
  const needsCallers = production && !hasCallers && given['AUTH_DISABLED'] !== 'true';
  return z.object({
    NODE_ENV: z.string().optional(),
    PORT: wholeNumber(0, 65_535).default(DEFAULT_PORT),
    METRICS_PORT: wholeNumber(0, 65_535)
      .refine((port) => port === 0 || String(port) !== (given['PORT'] ?? String(DEFAULT_PORT)), 'must not be PORT')
      .optional(),
    HOST: z
      .string()
      .refine((host) => production || isLoopback(host), 'must be a loopback address in development, such as 127.0.0.1')
      .optional(),
    KEEP_ALIVE_TIMEOUT_MS: wholeNumber(1_000, 3_600_000).default(DEFAULT_KEEP_ALIVE_MS),
    SHUTDOWN_DELAY_MS: wholeNumber(0, 300_000).default(0),
    LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
    DATABASE_URL: parsedUrl((text) => parseDatabaseUrl(text, production)),
    QBO_CLIENT_ID: word(),
    QBO_CLIENT_SECRET: word(),
    QBO_ENVIRONMENT: quickbooksEnvironment(production),
    QBO_REDIRECT_URI: httpUrl({ production, allowQuery: false, pathEnd: CALLBACK_PATH }),
    QBO_AUTHORIZE_URL: url.optional(),
    QBO_TOKEN_URL: url.optional(),
    QBO_REVOKE_URL: url.optional(),
    QBO_API_BASE_URL: url.transform(withoutTrailingSlash).optional(),
    ENCRYPTION_KEY: list(Fernet.isKey, 'must be a Fernet key (32 bytes in base64url), or several, comma-separated'),
    OAUTH_STATE_SECRET: list(
      (secret) => secret.length >= 32,
      'must be at least 32 characters, each if comma-separated',
    ),
    FRONTEND_URL: httpUrls(production),
    CONNECT_CONFIRMATION: flag('false'),
    API_KEYS: needsCallers ? z.never('is required, or AUTH_JWKS_URL, or AUTH_DISABLED=true') : apiKeys().optional(),
    AUTH_JWKS_URL: allOrNone(urlWithQuery),
    AUTH_ISSUER: allOrNone(words()),
    AUTH_AUDIENCE: allOrNone(words()),
    AUTH_ORGANIZATION_CLAIM: word().default('organization_id'),
    AUTH_AUDIENCE_CLAIM: word().default('aud'),
    AUTH_SCOPES: flag('false'),
    AUTH_DISABLED: flag('false').refine(
      (disabled) => !disabled || !hasCallers,
      'must not be true if API_KEYS or AUTH_JWKS_URL is set',
    ),
    REDIS_URL: parsedUrl(parseRedisUrl).optional(),
    RATE_LIMIT_PER_MINUTE: wholeNumber(1, 1_000_000).default(60),
    TRUST_PROXY: trustProxy().default(false),
    HTTPS_PROXY: parsedUrl(parseProxyUrl).optional(),
    HTTP_PROXY: parsedUrl(parseProxyUrl).optional(),
    NO_PROXY: proxyExceptions(),
    WORKER_ENABLED: flag('true'),
    VERIFY_IDLE_HOURS: wholeNumber(0, 8_760).default(24),
    EVENTS_WEBHOOK_URL: given['EVENTS_WEBHOOK_SECRET'] ? urlWithQuery : urlWithQuery.optional(),
    EVENTS_WEBHOOK_SECRET: given['EVENTS_WEBHOOK_URL'] ? webhookSecrets() : webhookSecrets().optional(),
    PROVIDER_TIMEOUT_MS: wholeNumber(100, 20_000).default(10_000),
    GATEWAY_TIMEOUT_MS: wholeNumber(100, 600_000).default(120_000),
    COMPANY_LIMIT_PER_SECOND: wholeNumber(0, 100_000).default(10),
    COMPANY_LIMIT_PER_MINUTE: wholeNumber(0, 1_000_000).default(500),
    OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl({ production: false, allowQuery: false }).optional(),
    SIMULATOR_PORT: wholeNumber(1, 65_535).default(DEFAULT_SIMULATOR_PORT),
  });
}

/** Development accepts calls without credentials, so it never acts on real companies. */
function quickbooksEnvironment(production: boolean) {
  const either = required().pipe(z.enum(['sandbox', 'production'], 'must be sandbox or production'));
  if (production) return either;
  return either.refine((name) => name === 'sandbox', 'must be sandbox in development').default('sandbox');
}
