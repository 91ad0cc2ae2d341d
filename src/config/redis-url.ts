import { parseUrl, UrlProblem } from './url-parts.ts';

/** How Redis is reached. */
export interface RedisConfig {
  host: string;
  port: number;
  /** `rediss://`: the certificate is verified against Node's authorities and the host's name. */
  isEncrypted: boolean;
  user: string | undefined;
  password: string | undefined;
  /** The number of the logical database. */
  database: number;
}

const FORM = 'must be redis://user:password@host:6379 or rediss://…, with the number of a database as path or without';
const DEFAULT_PORT = 6379;

/** Parses REDIS_URL completely. @throws UrlProblem */
export function parseRedisUrl(text: string): RedisConfig {
  const url = parseUrl(text, ['redis', 'rediss'], FORM);
  url.readParameters([]);
  if (!url.host || !/^\d{0,5}$/.test(url.path)) throw new UrlProblem(FORM);
  return {
    host: url.host,
    port: url.port ?? DEFAULT_PORT,
    isEncrypted: url.scheme === 'rediss',
    user: url.user || undefined,
    password: url.password || undefined,
    database: Number(url.path),
  };
}
