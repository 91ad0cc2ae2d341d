import { connect, isIP, type Socket } from 'node:net';
import type { Knex } from 'knex';
import type { MysqlConfig, TlsConfig } from '../config/database-url.ts';

const CONNECT_TIMEOUT_MS = 3_000;
/** Of each connection: all of them share the server's limit, 16,382 by default. */
const MAX_PREPARED_STATEMENTS = 64;

/** Returns mysql2's settings of a connection. */
export function connectionOptions(server: MysqlConfig): Knex.MySql2ConnectionConfig {
  const { host, port, socket, user, password, name, tls } = server;
  return {
    ...(socket ? { socketPath: socket } : { host, port }),
    user,
    password,
    database: name,
    ...(tls ? { ssl: sslOptions(tls) } : {}),
    ...(tls?.verifies === 'identity' && isIP(host) ? { stream: () => connectToAddress(host, port) } : {}),
    timezone: 'Z',
    charset: 'utf8mb4',
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxPreparedStatements: MAX_PREPARED_STATEMENTS,
  };
}

function sslOptions({ verifies, authorities }: TlsConfig) {
  return {
    ...(authorities ? { ca: authorities } : {}),
    rejectUnauthorized: verifies !== 'nothing',
    verifyIdentity: verifies === 'identity',
    minVersion: 'TLSv1.2' as const,
  };
}

/** For an address, mysql2 has Node verify the name `localhost`, unless the socket knows which host it was opened to. */
function connectToAddress(host: string, port: number): Socket {
  return Object.assign(connect(port, host), { _host: host }).setNoDelay(true).setKeepAlive(true);
}
