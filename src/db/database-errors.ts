import { AppError } from '../errors.ts';

/** What drivers report about a failure; each of them reports only part of it. */
interface DriverError {
  name?: string;
  code?: string;
  errno?: number;
  fatal?: boolean;
  sql?: string;
  message?: string;
}

/** A driver's error without its text, which quotes the statement with all its values. */
export class DatabaseError extends Error {
  override readonly name: string = 'DatabaseError';
  readonly code: string;
  readonly errno: number | undefined;

  constructor(code: string, errno: number | undefined, message = `the database rejected a statement: ${code}`) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

const TLS_FAILED = 'HANDSHAKE_SSL_ERROR';

/** No connection to the database could be opened, for a reason in `code`. */
export class ConnectError extends DatabaseError {
  override readonly name = 'ConnectError';

  constructor(reason: unknown) {
    const { code, name, errno, message } = reason as DriverError;
    const known = code ?? name ?? 'unknown';
    // mysql2 gives every failure of TLS one code. Only the text distinguishes them, and it contains no secret.
    const detail = known === TLS_FAILED && message ? ` (${message.split('\n', 1)})` : '';
    super(known, errno, `cannot connect to the database: ${known}${detail}`);
  }
}

/** A driver's error without the values that it quotes; any other as it is. */
export function withoutValues(error: unknown): unknown {
  if (!isDriverError(error)) return error;
  const { code, errno } = error as DriverError;
  return new DatabaseError(code ?? `ERRNO_${errno}`, errno);
}

/** The error that callers receive while the database is unavailable. Its cause names the driver's code, for the log. */
export function unavailable(error: unknown): AppError {
  const { code, name, errno } = error as DriverError;
  return new AppError('service_unavailable', {
    detail: 'The database of this service is not available at the moment.',
    retryAfterSeconds: 5,
    cause: error instanceof DatabaseError ? error : new DatabaseError(code ?? name ?? 'unknown', errno),
  });
}

/** True if a row with this unique key already exists. */
export function isDuplicate(error: unknown): boolean {
  const { code = '' } = error as DriverError;
  return ['ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(code);
}

/**
 * Deadlock, snapshot conflict, failed certification, a statement to prepare again, busy: the next try succeeds. A lock
 * that was waited for (1205) is not among them: another try would wait as long again.
 */
export function isDeadlock(error: unknown): boolean {
  const { code = '', errno = 0 } = error as DriverError;
  return [1213, 1020, 1180, 1615, 3101].includes(errno) || /^SQLITE_BUSY/.test(code);
}

/** True if the server is read-only, as after a planned failover. It has not executed the statement. */
export function isReadOnly(error: unknown): boolean {
  const { code = '', errno = 0 } = error as DriverError;
  return [1209, 1290, 1792, 1836, 1874, 3100].includes(errno) || /^SQLITE_READONLY/.test(code);
}

/** True if the server is not the one to use now: read-only, not ready (Galera), or shutting down. */
export function isNodeUnavailable(error: unknown): boolean {
  const { errno = 0 } = error as DriverError;
  return isReadOnly(error) || [1047, 1053].includes(errno);
}

/** True if the server cannot store more. */
export function isFull(error: unknown): boolean {
  const { code = '', errno = 0 } = error as DriverError;
  return [1021, 1026, 1114, 1534].includes(errno) || code === 'SQLITE_FULL';
}

/** True if the server rejects the user, the password, or the user's access to this database. */
export function isDenied(error: unknown): boolean {
  const { code = '', errno = 0 } = error as DriverError;
  const isRejected = [1044, 1045, 1130, 1142, 1227, 1251, 1524, 1698, 1820, 1862, 3118, 3159, 3955, 4151].includes(
    errno,
  );
  return isRejected || code === 'AUTH_SWITCH_PLUGIN_ERROR';
}

/**
 * Errors of MySQL and MariaDB that only this service's own statements can cause: their text, or values that do not fit.
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const OWN_FAULTS = new Set([
  ...[1048, 1052, 1054, 1055, 1058, 1060, 1061, 1062, 1063, 1064, 1065, 1066, 1071, 1072, 1091, 1093, 1101, 1103, 1109],
  ...[1110, 1111, 1118, 1136, 1138, 1140, 1149, 1169, 1191, 1193, 1210, 1216, 1217, 1221, 1222, 1231, 1235, 1241, 1242],
  ...[1248, 1264, 1265, 1267, 1270, 1271, 1292, 1295, 1300, 1305, 1364, 1365, 1366, 1367, 1390, 1406, 1411, 1415, 1426],
  ...[1439, 1441, 1451, 1452, 1525, 1557, 1582, 1583, 1586, 1690, 1761, 1762, 3140, 3819, 3854, 3988, 4025],
]);

/** True if the database is unavailable or not migrated: every error of it but those that are this service's own fault. */
export function isUnavailable(error: unknown): boolean {
  const { name, code = '', errno = 0, message = '' } = error as DriverError;
  if (error instanceof ConnectError || name === 'KnexTimeoutError' || isClosedConnection(error as DriverError))
    return true;
  if (!isDriverError(error)) return false;
  if (/no such (table|index)/i.test(message)) return true;
  return !OWN_FAULTS.has(errno) && !/^SQLITE_(ERROR|CONSTRAINT|MISMATCH|MISUSE|RANGE|TOOBIG)/.test(code);
}

function isDriverError(error: unknown): boolean {
  if (error instanceof AppError) return false;
  const { code = '', errno, sql, fatal } = error as DriverError;
  return (
    errno !== undefined || sql !== undefined || fatal === true || /^(ER_|SQLITE_|PROTOCOL_|E[A-Z]{3,}|EAI_)/.test(code)
  );
}

/** Drivers report a connection that was closed meanwhile only in the text. */
function isClosedConnection({ message = '' }: DriverError): boolean {
  return /closed state|connection is not open|aborted/i.test(message);
}
