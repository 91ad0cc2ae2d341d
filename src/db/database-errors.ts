import { AppError } from '../errors.ts';

/** What drivers tell of a failure, each of them some of it. */
interface DriverError {
  name?: string;
  code?: string;
  errno?: number;
  fatal?: boolean;
  sql?: string;
  message?: string;
}

/** What is kept of a driver's error: its text quotes the statement with all its values. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: string;
  readonly errno: number | undefined;

  constructor(code: string, errno: number | undefined) {
    super(`the database refused a statement: ${code}`);
    this.code = code;
    this.errno = errno;
  }
}

/** A driver's error without the values that it quotes; any other as it is. */
export function withoutValues(error: unknown): unknown {
  const { code, errno, sql } = error as DriverError;
  const isDriver = errno !== undefined || sql !== undefined || /^(ER_|SQLITE_)/.test(code ?? '');
  return isDriver ? new DatabaseError(code ?? `ERRNO_${errno}`, errno) : error;
}

/** The error that callers receive while the database is unavailable. Its cause names the driver's code, for the log. */
export function unavailable(error: unknown): AppError {
  const { code, name, errno } = error as DriverError;
  return new AppError('service_unavailable', {
    detail: 'The database of this service is not available at the moment.',
    retryAfterSeconds: 5,
    cause: new DatabaseError(code ?? name ?? 'unknown', errno),
  });
}

/** True where a row with this unique key is already there. */
export function isDuplicate(error: unknown): boolean {
  const { code = '' } = error as DriverError;
  return ['ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(code);
}

/** Deadlock, lock wait, snapshot conflict, failed certification, busy: the other one is done by the next try. */
export function isDeadlock(error: unknown): boolean {
  const { code = '', errno = 0 } = error as DriverError;
  return [1213, 1205, 1020, 1180, 3101].includes(errno) || /^SQLITE_BUSY/.test(code);
}

const NOT_MIGRATED = new Set(['ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR']);
const REFUSING = new Set([
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_SERVER_SHUTDOWN',
  'ER_OPTION_PREVENTS_STATEMENT', // read-only, as in a failover
  'ER_READ_ONLY_MODE',
  'ER_UNKNOWN_COM_ERROR', // Galera: the node is not ready
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
  'ER_QUERY_INTERRUPTED',
]);

/** MySQL's and MariaDB's, some of them without a name in the driver: out of memory or time, killed, shut down. */
const REFUSING_ERRNOS = new Set([1030, 1041, 1135, 1158, 1159, 1160, 1161, 1927, 1969, 3024]);

/** True where the database is away, not migrated, or takes nothing: it may be well again later. */
export function isAway(error: unknown): boolean {
  const { name, code = '', errno = 0, fatal, message = '' } = error as DriverError;
  return (
    fatal === true ||
    name === 'KnexTimeoutError' ||
    NOT_MIGRATED.has(code) ||
    REFUSING.has(code) ||
    REFUSING_ERRNOS.has(errno) ||
    /^SQLITE_(CANTOPEN|FULL|IOERR|NOMEM|PROTOCOL|READONLY)/.test(code) ||
    /^(E[A-Z]{3,}|EAI_\w+|PROTOCOL_\w+)$/.test(code) || // errno of the connection
    /no such table|closed state|connection is not open|aborted/i.test(message)
  );
}
