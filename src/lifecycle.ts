import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { dirname, resolve } from 'node:path';
import { ConfigError } from './config/config.ts';
import type { AppError } from './errors.ts';
import type { Logger } from './observability/logger.ts';

/** Longer than a proxy keeps its idle connections (60 s as a rule), so that the proxy is the one to close them. */
const KEEP_ALIVE_MS = 65_000;
const IDLE_CHECK_MS = 50;
const LONGEST_STOP_MS = 14_000;

/** Where a server listens, and the variable that sets its port. */
interface Address {
  host: string;
  port: number;
  variable?: string;
}

/** A server that takes requests. */
interface Listening {
  address: AddressInfo;
  /** Takes no new connection, finishes the requests in flight, and closes each connection as it falls idle. */
  close(): Promise<void>;
}

/** Serves `listener`. Resolves once it listens. @throws ConfigError */
export async function listen(listener: RequestListener, at: Address): Promise<Listening> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener);
  const silent = new Set<Socket>(); // connected, and nothing asked yet: node takes none of these for idle
  server.on('connection', (socket) => silent.add(socket.once('close', () => silent.delete(socket))));
  server.prependListener('request', (request) => silent.delete(request.socket));
  server.listen(at.port, at.host);
  await once(server, 'listening').catch((error) => {
    throw cannotListen(error, at);
  });

  return {
    address: server.address() as AddressInfo,
    close: async () => {
      server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of silent) socket.destroy();
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
      await closed;
      clearInterval(idle);
    },
  };
}

/** Resolves with the name of the signal that asks the process to stop. */
export async function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // A second signal must not end the process in the middle of what it finishes.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
}

/** Ends the process though its work is not done, before whoever sent the signal loses patience. */
export function stopInTime(logger: Logger): void {
  setTimeout(() => {
    logger.warn('stopped with work unfinished: it took too long');
    process.exit(0);
  }, LONGEST_STOP_MS).unref();
}

/** What to tell the person whose start failed: what to do where we know it, the whole error where we do not. */
export function startupFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { code = '', name, path } = error as NodeJS.ErrnoException;
  if (name === 'MigrationLocked')
    return 'Another migration is running. If it crashed and none is, run `npm run migrate:unlock`.';
  if (path && code === 'EACCES') return accessDenied(path);
  if (path && ['ENOENT', 'ENOTDIR', 'EROFS', 'EEXIST'].includes(code)) return `Cannot use ${path}: ${code}.`;
  const reason = name === 'AppError' ? ((error as AppError).reason ?? '') : code;
  const database = DATABASE_FAILURES[reason.replace(/^SQLITE_(READONLY|CANTOPEN).*/, 'SQLITE_CANTOPEN')];
  if (database) return `${database} See DATABASE_URL.`;
  if (/^(ER|SQLITE)_/.test(reason)) return `The database refuses: ${reason}. See DATABASE_URL.`;
  if (name === 'AppError') return (error as AppError).detail;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Why a server does not listen, and the variable that changes it. */
export function cannotListen(error: unknown, { host, port, variable = 'PORT' }: Address): ConfigError {
  const { code } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    EADDRINUSE: `is already in use. Stop the process that uses it, or choose another port in ${variable}.`,
    EACCES: `needs privileges that this process does not have. Choose a port above 1023 in ${variable}.`,
  };
  const reason = reasons[code ?? ''] ?? `cannot be used: ${code}. See HOST and ${variable}.`;
  return new ConfigError([`Port ${port} on ${host} ${reason}`]);
}

/** Names the path's nearest file or folder that exists, since its owner is who can permit the access. */
function accessDenied(path: string): string {
  let existing = resolve(path);
  while (!existsSync(existing)) existing = dirname(existing);
  const { uid } = statSync(existing);
  return `No permission to use ${path}: ${existing} belongs to user ID ${uid}, and this process runs as user ID ${process.getuid?.()}.`;
}

const DATABASE_FAILURES: Record<string, string> = {
  ECONNREFUSED: 'The database cannot be reached: nothing answers at its address.',
  ENOTFOUND: "The database cannot be reached: its host's name is unknown.",
  EAI_AGAIN: "The database cannot be reached: its host's name cannot be looked up just now.",
  ETIMEDOUT: 'The database cannot be reached: it does not answer in time.',
  ER_BAD_DB_ERROR: 'The database server has no database of this name.',
  ER_ACCESS_DENIED_ERROR: 'The database server refuses this user or password.',
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: 'The database server refuses this user or password.',
  ER_DBACCESS_DENIED_ERROR: 'The database server refuses this user the database.',
  ER_NO_SUCH_TABLE: 'The database is not migrated: run `npm run migrate`.',
  SQLITE_CANTOPEN: 'The database file or its folder cannot be opened and written by the user of this process.',
  SQLITE_ERROR: 'The database is not migrated, or not one of this service.',
};
