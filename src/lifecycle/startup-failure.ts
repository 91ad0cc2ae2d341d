import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../config/config.ts';
import { DatabaseError } from '../db/database-errors.ts';
import { AppError } from '../errors.ts';

const DATABASE_FAILURES: Record<string, string> = {
  ECONNREFUSED: 'The database cannot be reached: nothing listens at its address.',
  ENOTFOUND: "The database cannot be reached: its host's name is unknown.",
  EAI_AGAIN: "The database cannot be reached: its host's name cannot be looked up at the moment.",
  ETIMEDOUT: 'The database cannot be reached: it did not respond in time.',
  ER_BAD_DB_ERROR: 'The database server has no database with this name.',
  ER_ACCESS_DENIED_ERROR: 'The database server rejects this user or password.',
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: 'The database server rejects this user or password.',
  ER_DBACCESS_DENIED_ERROR: 'The database server does not permit this user to use the database.',
  AUTH_SWITCH_PLUGIN_ERROR:
    "The database server requires this user to authenticate by a plugin that the driver does not have, such as MariaDB's ed25519: use mysql_native_password or caching_sha2_password.",
  HANDSHAKE_NO_SSL_SUPPORT: 'The database server does not support TLS, which ssl-mode requires.',
  HANDSHAKE_SSL_ERROR: "The database server's certificate is not accepted: ssl-mode and ssl-ca decide which are.",
  ER_NO_SUCH_TABLE: 'The database is not migrated: run `npm run migrate`.',
  SQLITE_CANTOPEN: 'The database file or its folder cannot be opened and written by the user of this process.',
  SQLITE_ERROR: 'The database is not migrated, or was not created by this service.',
};

/** Ends a process that could not start: exit code 1, and the reason on stderr. */
export function exitWithFailure(error: unknown): never {
  process.stderr.write(`${startupFailure(error)}\n`);
  process.exit(1);
}

/** Describes why the process did not start: in one line that says what to do, or the whole error if it is unknown. */
export function startupFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { code = '', name, path } = error as NodeJS.ErrnoException;
  if (name === 'MigrationLocked') {
    return 'Another migration is running. If it crashed and none is running, run `npm run migrate:unlock`.';
  }
  if (name === 'TokenBindingError' || name === 'InvalidFernetToken') {
    return 'The stored tokens are damaged: see "Database repairs" in docs/operations/runbook.md.';
  }
  if (path && code === 'EACCES') return accessDenied(path);
  if (path && ['ENOENT', 'ENOTDIR', 'EISDIR', 'EROFS', 'EEXIST'].includes(code)) return `Cannot use ${path}: ${code}.`;
  const reason = databaseCode(error) ?? code;
  const database = DATABASE_FAILURES[reason.replace(/^SQLITE_(READONLY|CANTOPEN).*/, 'SQLITE_CANTOPEN')];
  if (database) return `${database} See DATABASE_URL.`;
  if (/^(ER|SQLITE)_/.test(reason)) return `The database returned an error: ${reason}. See DATABASE_URL.`;
  if (error instanceof AppError) return error.detail;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The database's code behind an error of the session, such as `ER_ACCESS_DENIED_ERROR`. */
function databaseCode(error: unknown): string | undefined {
  const { cause } = error as Error;
  return cause instanceof DatabaseError ? cause.code : undefined;
}

/** Names the owner of the path's nearest file or folder that exists: this user can permit the access. */
function accessDenied(path: string): string {
  let existing = resolve(path);
  while (!existsSync(existing)) existing = dirname(existing);
  const { uid } = statSync(existing);
  return `No permission to use ${path}: ${existing} belongs to user ID ${uid}, and this process runs as user ID ${process.getuid?.()}.`;
}
