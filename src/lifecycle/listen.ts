import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { ConfigError } from '../config/config.ts';
import { type Clock, systemClock } from '../utils/clock.ts';

/** Longer than proxies keep idle connections, usually 60 s, so that the proxy is the one that closes them. */
const KEEP_ALIVE_MS = 65_000;
const IDLE_CHECK_MS = 50;

/** Where a server listens, and the variable that sets its port. */
interface Address {
  host: string;
  port: number;
  variable?: string;
}

/** A server that accepts requests. */
interface HttpServer {
  address: AddressInfo;
  /** Accepts no new connection, finishes the requests in flight, and closes each connection once it is idle. */
  close(): Promise<void>;
}

/** Serves `listener`. Resolves once the server is listening. @throws ConfigError */
export async function listen(
  listener: RequestListener,
  address: Address,
  clock: Clock = systemClock,
): Promise<HttpServer> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener);
  const unused = new Set<Socket>(); // connected without a request so far: Node does not count these as idle
  server.on('connection', (socket) => unused.add(socket.once('close', () => unused.delete(socket))));
  server.prependListener('request', (request) => unused.delete(request.socket));
  server.listen(address.port, address.host);
  await once(server, 'listening').catch((error) => {
    throw cannotListen(error, address);
  });

  return {
    address: server.address() as AddressInfo,
    close: async () => {
      server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
      const closed = new AbortController();
      server.close(() => closed.abort());
      for (const socket of unused) socket.destroy();
      while (!closed.signal.aborted) {
        server.closeIdleConnections();
        await clock.sleep(IDLE_CHECK_MS, closed.signal);
      }
    },
  };
}

/** Returns the error for a server that cannot listen: the reason, and the variable that sets its port. */
export function cannotListen(error: unknown, { host, port, variable = 'PORT' }: Address): ConfigError {
  const { code } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    EADDRINUSE: `is already in use. Stop the process that uses it, or choose another port in ${variable}.`,
    EACCES: `needs privileges that this process does not have. Choose a port above 1023 in ${variable}.`,
  };
  const reason = reasons[code ?? ''] ?? `cannot be used: ${code}. See HOST and ${variable}.`;
  return new ConfigError([`Port ${port} on ${host} ${reason}`]);
}
