import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodePart, parseUrl, UrlProblem } from './url-parts.ts';
import { isLoopback } from './variable-types.ts';

/** How a MySQL or MariaDB server is reached. */
export interface MysqlConfig {
  client: 'mysql';
  host: string;
  port: number;
  /** The path of a Unix socket, used instead of host and port. */
  socket: string | undefined;
  user: string;
  password: string;
  /** The database's name. */
  name: string;
  /** Absent: the connection is not encrypted. */
  tls: TlsConfig | undefined;
}

/** What is verified of the server's certificate, as in MySQL's `ssl-mode`. */
export interface TlsConfig {
  verifies: 'nothing' | 'authority' | 'identity';
  /** Certificates in PEM; absent: Node's own authorities. */
  authorities: string | undefined;
}

/** Which database stores everything. */
export type DatabaseConfig = MysqlConfig | { client: 'sqlite'; filename: string };

const FORM = 'must be mysql://user:password@host:3306/name or sqlite:PATH';
const SCHEMES = ['mysql', 'mysql2', 'mariadb'];
const PARAMETERS = ['ssl-mode', 'ssl-ca', 'socket'];
const DEFAULT_PORT = 3306;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*(?:-----END CERTIFICATE-----)?/g;
const VERIFIES: Record<string, TlsConfig['verifies']> = {
  REQUIRED: 'nothing',
  VERIFY_CA: 'authority',
  VERIFY_IDENTITY: 'identity',
};

/** Parses DATABASE_URL completely, so that nothing of it is left to a driver. @throws UrlProblem */
export function parseDatabaseUrl(text: string, production: boolean): DatabaseConfig {
  if (text.startsWith('sqlite:')) return parseSqlite(text.slice('sqlite:'.length), production);
  const url = parseUrl(text, SCHEMES, FORM);
  const { 'ssl-mode': mode, 'ssl-ca': authorities, socket } = url.readParameters(PARAMETERS);
  const name = url.path.replace(/\/$/, '');
  if (!/^[^/]+$/.test(name) || !(url.host || socket)) throw new UrlProblem(FORM);
  const isLocal = socket !== undefined || isLoopback(url.host);
  return {
    client: 'mysql',
    host: url.host || 'localhost',
    port: url.port ?? DEFAULT_PORT,
    socket,
    user: url.user,
    password: url.password,
    name: decodePart(name),
    tls: tlsOf({ mode: mode?.toUpperCase(), authorities, socket }, production && !isLocal),
  };
}

function parseSqlite(filename: string, production: boolean): DatabaseConfig {
  if (!filename) throw new UrlProblem(FORM);
  if (production && filename === ':memory:') {
    throw new UrlProblem('must not be sqlite::memory: in production: a restart would lose every connection');
  }
  return { client: 'sqlite', filename };
}

interface TlsParameters {
  mode: string | undefined;
  authorities: string | undefined;
  socket: string | undefined;
}

/** A given authority is always used: without a mode that verifies more, the certificate must be one of its own. */
function tlsOf({ mode, authorities, socket }: TlsParameters, isRequired: boolean): TlsConfig | undefined {
  if (mode !== undefined && mode !== 'DISABLED' && !VERIFIES[mode]) {
    throw new UrlProblem('has an ssl-mode other than VERIFY_IDENTITY, VERIFY_CA, REQUIRED or DISABLED');
  }
  const isDisabled = mode === 'DISABLED' || (mode === undefined && authorities === undefined && !isRequired);
  if (isDisabled) {
    if (authorities !== undefined) throw new UrlProblem('has an ssl-ca, and ssl-mode=DISABLED');
    return undefined;
  }
  if (socket !== undefined) throw new UrlProblem('has a socket, which cannot be combined with ssl-mode or ssl-ca');
  const verifies = VERIFIES[mode ?? 'REQUIRED'] ?? 'nothing';
  if (authorities === undefined) return { verifies, authorities };
  return { verifies: verifies === 'nothing' ? 'authority' : verifies, authorities: readAuthorities(authorities) };
}

/** Node would ignore a certificate that it cannot parse, and all that follow it. */
function readAuthorities(path: string): string {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UrlProblem(`has an ssl-ca that cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw new UrlProblem('has an ssl-ca without a certificate in PEM');
  if (!certificates.every(isCertificate)) throw new UrlProblem('has an ssl-ca that contains a damaged certificate');
  return text;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
