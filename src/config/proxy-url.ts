import type { Environment } from './environment-schema.ts';
import { parseUrl, UrlProblem } from './url-parts.ts';

/** An HTTP proxy that opens tunnels (CONNECT). */
export interface ProxyConfig {
  /** Without a trailing slash; https if the connection to the proxy is itself encrypted. */
  origin: string;
  /** The value of `Proxy-Authorization`; absent without credentials. */
  authorization: string | undefined;
}

/** Through which proxies other servers are reached. */
export interface EgressConfig {
  /** For http origins; absent: without a proxy. */
  httpProxy: ProxyConfig | undefined;
  /** For https origins. */
  httpsProxy: ProxyConfig | undefined;
  /** The hosts that are reached without a proxy, as NO_PROXY lists them. */
  noProxy: string[];
}

/** These names are also written in lower case, which takes precedence, as in curl and undici. */
const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
const FORM = 'must be http://user:password@host:3128 or https://…, without a path';

/** Parses HTTP_PROXY or HTTPS_PROXY; without a scheme it is an http URL, as for curl. @throws UrlProblem */
export function parseProxyUrl(given: string): ProxyConfig {
  const text = given.includes('://') ? given : `http://${given}`;
  const { scheme, host, user, password, path, readParameters } = parseUrl(text, ['http', 'https'], FORM);
  readParameters([]);
  if (!host || path) throw new UrlProblem(FORM);
  const credentials = Buffer.from(`${user}:${password}`).toString('base64');
  return {
    origin: `${scheme}://${new URL(text).host}`,
    authorization: user || password ? `Basic ${credentials}` : undefined,
  };
}

/** Returns the values of the proxies' variables that are set in lower case, by their names in upper case. */
export function lowerCaseProxies(given: Environment): Environment {
  const set = NAMES.filter((name) => given[name.toLowerCase()] !== undefined);
  return Object.fromEntries(set.map((name) => [name, given[name.toLowerCase()]]));
}
