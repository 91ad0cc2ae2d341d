import { isIP } from 'node:net';
import { z } from 'zod';
import { SCOPES } from '../models/scope.ts';
import { hasStrayQuote } from './plain-value.ts';
import { UrlProblem } from './url-parts.ts';

const API_KEY = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9_-]{32,})(?::(.+))?$/;

/** A variable that must be set. */
export function required() {
  return z.string('is required');
}

/** A variable that must be set, without whitespace inside. */
export function word() {
  return required().regex(/^[\x21-\x7e]+$/, 'must not contain whitespace or characters outside ASCII');
}

/** Comma-separated words, each of which must be set. */
export function words() {
  return list((item) => word().safeParse(item).success, 'must be one or several, comma-separated, without whitespace');
}

/** `true` or `false`. */
export function flag(defaultValue: 'true' | 'false') {
  return z
    .enum(['true', 'false'], 'must be true or false')
    .default(defaultValue)
    .transform((text) => text === 'true');
}

/** A decimal number without sign, fraction or exponent. */
export function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((number) => number >= min && number <= max, message);
}

/** Comma-separated items, each of which must be valid. */
export function list(isItem: (item: string) => boolean, message: string) {
  return required()
    .transform((text) => text.split(',').map((item) => item.trim()))
    .refine((items) => items.every((item) => isItem(item) && !hasStrayQuote(item)), message);
}

/** Comma-separated http URLs without query; their trailing slashes are removed. */
export function httpUrls(production: boolean) {
  const url = httpUrl({ production, allowQuery: false });
  return required().transform((text, context) => {
    const urls = text.split(',').map((item) => item.trim());
    const issues = urls.flatMap((item) => url.safeParse(item).error?.issues ?? []);
    if (urls.some(hasStrayQuote)) context.addIssue('must not contain quotation marks');
    for (const { message } of issues.slice(0, 1))
      context.addIssue(urls.length > 1 ? `${message}, each of them` : message);
    return urls.map(withoutTrailingSlash);
  });
}

/**
 * An http URL without credentials or fragment. In production it must be https, unless its host is loopback.
 * @param pathEnd what its path must end with; absent: any path
 */
export function httpUrl(rules: { production: boolean; allowQuery: boolean; pathEnd?: string }) {
  const { production, allowQuery, pathEnd = '' } = rules;
  const form = allowQuery ? /^https?:\/\/[^@#\s]+$/ : /^https?:\/\/[^@?#\s]+$/;
  const forbidden = allowQuery ? 'credentials or fragment' : 'credentials, query or fragment';
  return required().superRefine((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url || !form.test(text)) {
      context.addIssue(`must be an http or https URL without ${forbidden}`);
    } else if (production && url.protocol === 'http:' && !isLoopback(url.hostname)) {
      context.addIssue('must be an https URL in production');
    } else if (!url.pathname.endsWith(pathEnd)) {
      context.addIssue(`must end with ${pathEnd}`);
    }
  });
}

/** A URL that `parseText` parses completely. */
export function parsedUrl<Parsed>(parseText: (text: string) => Parsed) {
  return required().transform((text, context): Parsed => {
    try {
      return parseText(text);
    } catch (error) {
      if (!(error instanceof UrlProblem)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  });
}

/** Hosts, separated by commas or whitespace. */
export function proxyExceptions() {
  return z
    .string()
    .default('')
    .transform((text) => text.split(/[,\s]+/).filter(Boolean));
}

/** `name:key` pairs, or `name:key:scope+scope` for a key with only these scopes, comma-separated. */
export function apiKeys() {
  return list(
    (item) => API_KEY.test(item),
    'must be name:key or name:key:scope+scope, each key 32 characters or more of A-Z, a-z, 0-9, _ and -',
  )
    .transform((items) => items.map(toApiKey))
    .refine(
      (keys) => isDistinct(keys.map(({ name }) => name)) && isDistinct(keys.map(({ key }) => key)),
      'must not contain a name or a key twice',
    )
    .refine(
      (keys) => keys.every(({ scopes }) => !scopes || scopes.every((scope) => SCOPES.includes(scope))),
      `must have no other scopes than ${SCOPES.join(', ')}`,
    );
}

/** Comma-separated secrets as Standard Webhooks writes them: 24 to 64 bytes in base64, with the prefix `whsec_` or without. */
export function webhookSecrets() {
  return list((text) => {
    const bytes = Buffer.from(text.replace(/^whsec_/, ''), 'base64');
    return /^(whsec_)?[A-Za-z0-9+/]+={0,2}$/.test(text) && bytes.length >= 24 && bytes.length <= 64;
  }, 'must be 24 to 64 bytes in base64, with or without the prefix whsec_, or several, comma-separated');
}

/** Express' `trust proxy`. */
export function trustProxy() {
  return z
    .string()
    .transform((text) => {
      if (text === 'false') return false;
      return /^\d{1,2}$/.test(text) ? Number(text) : text.split(',').map((item) => item.trim());
    })
    .refine((value) => !Array.isArray(value) || value.every(isProxy), 'must be false, a number of hops, or addresses');
}

/** True if a host's name or address can only mean this machine. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1|\[::1\])$/.test(host);
}

export function withoutTrailingSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

/** An address, a range such as `10.0.0.0/8`, or one of Express' names for ranges. */
function isProxy(text: string): boolean {
  const [address = '', prefix = '0', ...rest] = text.split('/');
  const maxPrefix = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  const isRange = rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= maxPrefix;
  return isRange || ['loopback', 'linklocal', 'uniquelocal'].includes(text);
}

function toApiKey(item: string) {
  const [, name = '', key = '', scopes] = API_KEY.exec(item) ?? [];
  return { name, key, scopes: scopes?.split('+') as (typeof SCOPES)[number][] | undefined };
}

function isDistinct(texts: string[]): boolean {
  return new Set(texts).size === texts.length;
}
