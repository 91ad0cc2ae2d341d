import { isIP } from 'node:net';

/** What is wrong with a URL, without any part of it: URLs contain passwords. */
export class UrlProblem extends Error {
  override readonly name = 'UrlProblem';
}

/** The parts of a server's URL, decoded. */
export interface ParsedUrl {
  scheme: string;
  /** An IPv6 address has no brackets. */
  host: string;
  port: number | undefined;
  user: string;
  password: string;
  /** Without the first slash, not decoded. */
  path: string;
  /** Returns the query's parameters. @throws UrlProblem if there is another one, or one is repeated or empty */
  readParameters<Name extends string>(names: readonly Name[]): Record<Name, string | undefined>;
}

/** One name: no list of several, and no path of a socket. */
const HOST_NAME = /^[\p{L}\p{N}._-]+$/u;

/** Parses `scheme://user:password@host:port/path?query`. @param form what the problem says the URL must be @throws UrlProblem */
export function parseUrl(text: string, schemes: readonly string[], form: string): ParsedUrl {
  const scheme = /^([a-z0-9+]+):\/\//i.exec(text)?.[1]?.toLowerCase() ?? '';
  if (!schemes.includes(scheme)) throw new UrlProblem(form);
  if (text.includes('#')) throw new UrlProblem('contains a #: write it as %23');
  if (!URL.canParse(text) || /\s/.test(text)) throw new UrlProblem(form);
  const url = new URL(text);
  const host = decodePart(url.hostname.replace(/^\[(.*)\]$/, '$1'));
  if (url.port === '0' || (host && !isIP(host) && !HOST_NAME.test(host))) throw new UrlProblem(form);
  return {
    scheme,
    host,
    port: url.port ? Number(url.port) : undefined,
    user: decodePart(url.username),
    password: decodePart(url.password),
    path: url.pathname.replace(/^\//, ''),
    readParameters: (names) => readParameters(url.search, names),
  };
}

/** Parses `scheme://user:password@host:port,host:port/path?query`. Returns one result per host, alike in all else. @throws UrlProblem */
export function parseUrls(text: string, schemes: readonly string[], form: string): [ParsedUrl, ...ParsedUrl[]] {
  const [, start = '', hosts = '', end = ''] = /^([^/]*\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/s.exec(text) ?? [];
  const [first = '', ...others] = hosts.split(',').map((host) => start + host + end);
  return [parseUrl(first, schemes, form), ...others.map((url) => parseUrl(url, schemes, form))];
}

/** Decodes percent-encoding. @throws UrlProblem */
export function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new UrlProblem('contains a % that encodes nothing: write it as %25');
  }
}

/** A plus sign is a plus sign, as in a path: these are not a form's fields. */
function readParameters<Name extends string>(search: string, names: readonly Name[]): Record<Name, string | undefined> {
  const found = new Map<string, string>();
  for (const pair of search.slice(1).split('&').filter(Boolean)) {
    const [name = '', value = ''] = pair.split(/=(.*)/s).map(decodePart);
    if (!names.includes(name as Name)) {
      throw new UrlProblem(`has an unknown parameter: ${names.join(', ') || 'none'} can be set`);
    }
    if (found.has(name) || !value) throw new UrlProblem(`must have ${name} once, with a value`);
    found.set(name, value);
  }
  return Object.fromEntries(names.map((name) => [name, found.get(name)])) as Record<Name, string | undefined>;
}
