import { parseUrls, UrlProblem } from './url-parts.ts';

/** How Redis is reached. */
export interface RedisConfig {
  topology: RedisTopology;
  /** The server; or the Sentinels; or nodes of the cluster, which name the others. At least one. */
  addresses: { host: string; port: number }[];
  /** `rediss`: every certificate is verified against Node's authorities and the host's name. */
  isEncrypted: boolean;
  /** Of Redis, not of the Sentinels. */
  user: string | undefined;
  password: string | undefined;
}

export type RedisTopology =
  | { kind: 'server'; database: number }
  /** `service`: what the Sentinels call the primary. `user` and `password`: of the Sentinels. */
  | { kind: 'sentinel'; database: number; service: string; user: string | undefined; password: string | undefined }
  | { kind: 'cluster' };

const FORM = [
  'must be redis://user:password@host:6379/0, with or without the number of a database',
  'redis+sentinel://user:password@host:26379,host:26379/service/0',
  'redis+cluster://user:password@host:6379,host:6379, or one of them with rediss for TLS',
].join(', ');
const KINDS = { '': 'server', '+sentinel': 'sentinel', '+cluster': 'cluster' } as const;
const SCHEMES = Object.keys(KINDS).flatMap((suffix) => [`redis${suffix}`, `rediss${suffix}`]);
const DEFAULT_PORTS = { server: 6379, sentinel: 26379, cluster: 6379 };

type RedisUrls = ReturnType<typeof parseUrls>;

/** Parses REDIS_URL completely. @throws UrlProblem */
export function parseRedisUrl(text: string): RedisConfig {
  const urls = parseUrls(text, SCHEMES, FORM);
  const [{ scheme, user, password }] = urls;
  const kind = KINDS[scheme.replace(/^rediss?/, '') as keyof typeof KINDS];
  if (urls.some(({ host }) => !host) || (kind === 'server' && urls.length > 1)) throw new UrlProblem(FORM);
  return {
    topology: parseTopology(kind, urls),
    addresses: urls.map(({ host, port }) => ({ host, port: port ?? DEFAULT_PORTS[kind] })),
    isEncrypted: scheme.startsWith('rediss'),
    user: user || undefined,
    password: password || undefined,
  };
}

function parseTopology(kind: RedisTopology['kind'], [{ path, readParameters }]: RedisUrls): RedisTopology {
  if (kind === 'sentinel') {
    const [, service, database] = /^([\w.-]+)(?:\/(\d{0,5}))?$/.exec(path) ?? [];
    const { sentinel_username: user, sentinel_password: password } = readParameters([
      'sentinel_username',
      'sentinel_password',
    ]);
    if (!service) throw new UrlProblem(FORM);
    if (user && !password) throw new UrlProblem('has sentinel_username without sentinel_password');
    return { kind, service, database: Number(database ?? 0), user, password };
  }
  readParameters([]);
  if (!/^\d{0,5}$/.test(path)) throw new UrlProblem(FORM);
  const database = Number(path);
  if (kind === 'server') return { kind, database };
  if (database !== 0) throw new UrlProblem('must name no database: a cluster has none but 0');
  return { kind };
}
