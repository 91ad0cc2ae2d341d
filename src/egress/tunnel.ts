import type { Socket } from 'node:net';
import { type buildConnector, Client } from 'undici';
import type { ProxyConfig } from '../config/proxy-url.ts';
import type { Clock } from '../utils/clock.ts';
import { withTimeout } from '../utils/with-timeout.ts';

interface TunnelOptions {
  proxy: ProxyConfig;
  /** The origin, as undici names it to a connector. */
  target: buildConnector.Options;
  /** Makes the TLS handshake with the origin. */
  secure: buildConnector.connector;
  /** For everything together, in milliseconds. */
  timeoutMs: number;
  clock: Clock;
}

/** The proxy opened no connection to the origin. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  /** For logs: `PROXY_407`, the status of its response; `PROXY_ECONNREFUSED`, why it cannot be reached; `PROXY_TIMEOUT`. */
  readonly code: string;

  constructor(reason: string) {
    super(`the proxy opened no connection: ${reason}`);
    this.code = `PROXY_${reason}`;
  }
}

/**
 * Opens a connection to an origin through a proxy, up to and including the TLS handshake with the origin.
 * @throws ProxyError; the error of the handshake
 */
export async function connectThrough(options: TunnelOptions): Promise<Socket> {
  const { proxy, target, secure, timeoutMs, clock } = options;
  const client = new Client(proxy.origin, { connect: { timeout: timeoutMs } });
  let tunnel: Socket | undefined;
  const open = async () => {
    tunnel = await openTunnel(client, proxy, target);
    return target.protocol === 'https:' ? handshake(secure, target, tunnel) : tunnel;
  };
  try {
    return await withTimeout(open(), { clock, timeoutMs, onTimeout: () => new ProxyError('TIMEOUT') });
  } catch (error) {
    tunnel?.destroy();
    throw error;
  } finally {
    void client.destroy(); // the tunnel is no longer its own
  }
}

async function openTunnel(client: Client, proxy: ProxyConfig, target: buildConnector.Options): Promise<Socket> {
  const { protocol, port, host = '' } = target;
  const authority = port ? host : `${host}:${protocol === 'https:' ? 443 : 80}`;
  const headers = {
    host: authority,
    ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
  };
  const { statusCode, socket } = await client.connect({ path: authority, headers }).catch((error) => {
    throw new ProxyError(error.code ?? error.name);
  });
  socket.on('error', () => undefined); // reported by the handshake, or by the request
  if (statusCode >= 200 && statusCode < 300) return socket as Socket;
  socket.destroy();
  throw new ProxyError(String(statusCode));
}

async function handshake(
  secure: buildConnector.connector,
  target: buildConnector.Options,
  tunnel: Socket,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    secure({ ...target, httpSocket: tunnel }, (...[error, socket]) => (error ? reject(error) : resolve(socket)));
  });
}
