import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError } from '../config/config.ts';
import { DEFAULT_KEEP_ALIVE_MS } from '../config/environment-schema.ts';
import { type Clock, systemClock } from '../utils/clock.ts';
import { type ConnectionLimits, Connections, type DisconnectReason } from './connections.ts';
import { respondToRejected } from './rejected-requests.ts';

const MAX_HEADER_BYTES = 32 * 1024;
/** A header has four bytes or more: what Node leaves out beyond this number is too large in any case. */
const MAX_HEADERS = MAX_HEADER_BYTES / 4;
/** Time to receive all headers, and all of a request. Node checks both every few seconds. */
const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 300_000;
const TIMEOUT_CHECK_MS = 5_000;
const LIMITS: ConnectionLimits = { maxConnections: 2_000, maxPipelined: 5, maxRequests: 10_000, stallMs: 30_000 };
const IDLE_CHECK_MS = 50;

/** Where a server listens, and the variable that sets its port. */
interface Address {
  host: string;
  port: number;
  variable?: string;
  /** How long an idle connection stays open. */
  keepAliveMs?: number;
  /** Called for each client that is disconnected because it exceeds a limit. */
  onDisconnect?: (reason: DisconnectReason) => void;
  /** Replaces the limits for clients, in tests. */
  limits?: Partial<ConnectionLimits & { headersTimeout: number; requestTimeout: number }>;
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
  const { headersTimeout = HEADERS_TIMEOUT_MS, requestTimeout = REQUEST_TIMEOUT_MS, ...limits } = address.limits ?? {};
  const server = createServer({
    ...messageClassesOf(listener),
    keepAliveTimeout: address.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, headersTimeout),
    requireHostHeader: false, // the application checks it, so that the response is a problem
  });
  server.maxHeadersCount = MAX_HEADERS;
  const connections = new Connections(server, { ...LIMITS, ...limits }, address.onDisconnect ?? (() => undefined));
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (connections.accept(request.socket, response)) listener(request, response);
  });
  respondToRejected(server, listener, connections);
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
      connections.closeUnused();
      while (!closed.signal.aborted) {
        server.closeIdleConnections();
        await clock.sleep(IDLE_CHECK_MS, closed.signal);
      }
    },
  };
}

/** The classes of an application's requests and responses; Node's own for any other listener. */
function messageClassesOf(listener: RequestListener): ServerOptions {
  const { request, response } = listener as { request?: object; response?: object };
  return {
    ...(request ? { IncomingMessage: request.constructor as typeof IncomingMessage } : {}),
    ...(response ? { ServerResponse: response.constructor as typeof ServerResponse } : {}),
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
