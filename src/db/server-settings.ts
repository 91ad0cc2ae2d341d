import type { Session } from './session.ts';

/** What decides whether this service can work with a server. */
export interface ServerSettings {
  /** Changes when the server becomes read-only or writable. */
  accessMode: string;
  /** The settings that would break the service, as `name=value`. */
  unsuitable: string[];
}

type Variables = Record<string, string>;

const ACCESS = ['read_only', 'super_read_only', 'innodb_read_only'];
const MIN_VERSION = { mysql: [8, 0], mariadb: [10, 6] } as const;
const MIN_PACKET_BYTES = 65_536;

/** Which values of a setting are unsuitable: those that cannot be set for a session, and those that a proxy did not pass on. */
const UNSUITABLE: Record<string, (value: string, all: Variables) => boolean> = {
  version: isTooOld,
  binlog_format: (value, all) => value === 'STATEMENT' && all['log_bin'] === 'ON',
  max_allowed_packet: (value) => Number(value) < MIN_PACKET_BYTES,
  sql_mode: (value) => !/STRICT_(TRANS|ALL)_TABLES/.test(value) || /BACKSLASH|ANSI|ORACLE|EMPTY_STRING/.test(value),
  autocommit: (value) => value !== 'ON',
  completion_type: (value) => value !== 'NO_CHAIN',
  time_zone: (value) => value !== '+00:00',
  collation_connection: (value) => value !== 'utf8mb4_general_ci',
  default_storage_engine: (value) => value !== 'InnoDB',
};

/** Reads the settings of the server, as a connection of the service has them. SQLite has none. */
export async function readServerSettings(session: Session): Promise<ServerSettings> {
  if (session.dialect === 'sqlite') return { accessMode: '', unsuitable: [] };
  const names = [...ACCESS, ...Object.keys(UNSUITABLE), 'log_bin'];
  const [rows] = await session.read((db) =>
    db.raw(`SHOW VARIABLES WHERE Variable_name IN (${names.map(() => '?').join(', ')})`, names),
  );
  return assess(Object.fromEntries(rows.map((row: Row) => [row.Variable_name, row.Value])));
}

type Row = { Variable_name: string; Value: string };

/** Judges the values of variables. */
export function assess(variables: Variables): ServerSettings {
  const unsuitable = Object.entries(UNSUITABLE)
    .filter(([name, isUnsuitable]) => variables[name] !== undefined && isUnsuitable(variables[name], variables))
    .map(([name]) => `${name}=${variables[name]}`);
  return { accessMode: ACCESS.map((name) => variables[name] ?? '').join(), unsuitable };
}

/** Versions start with two numbers, such as `8.0.mysql_aurora.3.08` or `10.11.6-MariaDB`. */
function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  const [minMajor, minMinor] = MIN_VERSION[/mariadb/i.test(version) ? 'mariadb' : 'mysql'];
  return major < minMajor || (major === minMajor && minor < minMinor);
}
