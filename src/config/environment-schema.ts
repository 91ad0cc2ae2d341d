import { isIP } from 'node:net';
import { z } from 'zod';
import { Fernet } from '../crypto/fernet.ts';

/** Variables by their names, as a process gets them. */
export type Environment = Record<string, string | undefined>;

/** Where the data lie. */
export type DatabaseConfig = { client: 'mysql'; url: string } | { client: 'sqlite'; filename: string };

export const DEFAULT_PORT = 8080;
export const DEFAULT_SIMULATOR_PORT = 8090;

const logLevel = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']);

/** Every variable of the service, and what it may hold. @param given decides what some need of others */
export function environmentSchema(production: boolean, given: Environment = {}) {
  const url = httpUrl(production, false);
  const urlWithQuery = httpUrl(production, true);
  const users = ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'];
  const takesUsers = users.some((name) => given[name]);
  const together = <Schema extends z.ZodType>(schema: Schema) => (takesUsers ? schema : schema.optional());
  const isClosed = Boolean(given['API_KEYS']) || takesUsers;
  const mustClose = production && !isClosed && given['AUTH_DISABLED'] !== 'true';
  return z.object({
    NODE_ENV: z.string().optional(),
    PORT: wholeNumber(0, 65_535).default(DEFAULT_PORT),
    HOST: z
      .string()
      .refine((host) => production || isLoopback(host), 'must be a loopback address in development, such as 127.0.0.1')
      .optional(),
    LOG_LEVEL: logLevel.default('info'),
    DATABASE_URL: databaseUrl(production),
    QBO_CLIENT_ID: required(),
    QBO_CLIENT_SECRET: required(),
    QBO_ENVIRONMENT: quickbooksEnvironment(production),
    QBO_REDIRECT_URI: url,
    QBO_AUTHORIZE_URL: url.optional(),
    QBO_TOKEN_URL: url.optional(),
    QBO_REVOKE_URL: url.optional(),
    QBO_API_BASE_URL: url.transform(withoutTrailingSlash).optional(),
    ENCRYPTION_KEY: list(Fernet.isKey, 'must be a Fernet key (32 bytes in base64url), or several, comma-separated'),
    OAUTH_STATE_SECRET: list(
      (secret) => secret.length >= 32,
      'must be at least 32 characters, each if comma-separated',
    ),
    FRONTEND_URL: url.transform(withoutTrailingSlash),
    API_KEYS: mustClose ? z.never('is required, or AUTH_JWKS_URL, or AUTH_DISABLED=true') : apiKeys().optional(),
    AUTH_JWKS_URL: together(urlWithQuery),
    AUTH_ISSUER: together(required()),
    AUTH_AUDIENCE: together(required()),
    AUTH_ORGANIZATION_CLAIM: z.string().default('organization_id'),
    AUTH_DISABLED: flag('false').refine(
      (disabled) => !disabled || !isClosed,
      'must not be true beside API_KEYS or AUTH_JWKS_URL',
    ),
    REDIS_URL: z
      .string()
      .refine((text) => URL.canParse(text) && /^rediss?:\/\/[^/]+(\/\d*)?$/.test(text), 'must be redis://host:6379')
      .optional(),
    RATE_LIMIT_PER_MINUTE: wholeNumber(1, 1_000_000).default(60),
    TRUST_PROXY: trustProxy().default(false),
    WORKER_ENABLED: flag('true'),
    EVENTS_WEBHOOK_URL: given['EVENTS_WEBHOOK_SECRET'] ? urlWithQuery : urlWithQuery.optional(),
    EVENTS_WEBHOOK_SECRET: given['EVENTS_WEBHOOK_URL'] ? webhookSecret() : webhookSecret().optional(),
    PROVIDER_TIMEOUT_MS: wholeNumber(100, 20_000).default(10_000),
    SIMULATOR_PORT: wholeNumber(1, 65_535).default(DEFAULT_SIMULATOR_PORT),
  });
}

function required() {
  return z.string('is required');
}

/** Development, which anyone can call, never acts on real companies. */
function quickbooksEnvironment(production: boolean) {
  const either = required().pipe(z.enum(['sandbox', 'production'], 'must be sandbox or production'));
  if (production) return either;
  return either.refine((name) => name === 'sandbox', 'must be sandbox in development').default('sandbox');
}

function flag(standard: 'true' | 'false') {
  return z
    .enum(['true', 'false'], 'must be true or false')
    .default(standard)
    .transform((text) => text === 'true');
}

/** As Standard Webhooks writes it: 24 to 64 bytes in base64, `whsec_` before them. */
function webhookSecret() {
  return required().refine((text) => {
    const bytes = Buffer.from(text.replace(/^whsec_/, ''), 'base64');
    return /^(whsec_)?[A-Za-z0-9+/]+={0,2}$/.test(text) && bytes.length >= 24 && bytes.length <= 64;
  }, 'must be 24 to 64 bytes in base64, with or without whsec_ before them');
}

function wholeNumber(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((number) => number >= least && number <= most, message);
}

function list(isItem: (item: string) => boolean, message: string) {
  return required()
    .transform((text) => text.split(',').map((item) => item.trim()))
    .refine((items) => items.every(isItem), message);
}

function apiKeys() {
  return list(
    (pair) => /^[A-Za-z0-9._-]{1,64}:[\x21-\x7e]{32,}$/.test(pair),
    'must be name:key pairs, each key 32 characters or more',
  )
    .transform((pairs) =>
      pairs.map((pair) => ({ name: pair.split(':', 1)[0] ?? '', key: pair.slice(pair.indexOf(':') + 1) })),
    )
    .refine(
      (keys) =>
        [keys.map(({ name }) => name), keys.map(({ key }) => key)].every((all) => new Set(all).size === all.length),
      'must not hold a name or a key twice',
    );
}

function trustProxy() {
  const isProxy = (text: string) => {
    const [address = '', prefix = '0', ...rest] = text.split('/');
    const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    const isRange = rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= longest;
    return isRange || ['loopback', 'linklocal', 'uniquelocal'].includes(text);
  };
  return z
    .string()
    .transform((text) => {
      if (text === 'false') return false;
      return /^\d{1,2}$/.test(text) ? Number(text) : text.split(',').map((item) => item.trim());
    })
    .refine((value) => !Array.isArray(value) || value.every(isProxy), 'must be false, a number of hops, or addresses');
}

/** An http URL without credentials or fragment; in production https, unless its host is loopback. */
function httpUrl(production: boolean, takesQuery: boolean) {
  const form = takesQuery ? /^https?:\/\/[^@#\s]+$/ : /^https?:\/\/[^@?#\s]+$/;
  const without = takesQuery ? 'credentials or fragment' : 'credentials, query or fragment';
  return required().superRefine((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !form.test(text)) {
      context.addIssue(`must be an http or https URL without ${without}`);
    } else if (production && url.protocol === 'http:' && !isLoopback(url.hostname)) {
      context.addIssue('must be an https URL in production');
    }
  });
}

/** Whether a host's name or address means this machine and no other. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(host);
}

function withoutTrailingSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

function databaseUrl(production: boolean) {
  return required().transform((text, context): DatabaseConfig => {
    if (text.startsWith('sqlite:') && text.length > 'sqlite:'.length) {
      const filename = text.slice('sqlite:'.length);
      if (!production || filename !== ':memory:') return { client: 'sqlite', filename };
      context.addIssue('must be a database that lasts in production, not sqlite::memory:');
    } else {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url?.protocol === 'mysql:' && url.hostname && url.pathname.length > 1) return { client: 'mysql', url: text };
      context.addIssue('must be mysql://user:password@host:3306/name or sqlite:PATH');
    }
    return z.NEVER;
  });
}
