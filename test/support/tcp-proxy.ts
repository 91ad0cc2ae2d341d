import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A database's address that can go away: hang, refuse and come back. */
export interface TcpProxy {
  /** The URL that leads through the proxy. */
  url: string;
  /** From now on nothing passes, and no connection is broken: as when a host vanishes. */
  hang(): void;
  /** Breaks all connections and refuses new ones: as when a server is stopped. */
  stop(): void;
  /** Lets everything pass again; connections that hung are broken. */
  resume(): void;
  close(): Promise<void>;
}

/** Stands before the server of `url`. */
export async function startTcpProxy(url: string): Promise<TcpProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let mode: 'pass' | 'hang' | 'stop' = 'pass';

  const server = createServer((client) => {
    if (mode === 'stop') return void client.destroy();
    sockets.add(client.on('error', () => undefined).on('close', () => sockets.delete(client)));
    if (mode === 'hang') return;
    const upstream = connect(Number(target.port || 3306), target.hostname).on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => mode !== 'hang' && client.destroy());
    client.on('data', (data) => mode === 'pass' && upstream.write(data));
    upstream.on('data', (data) => mode === 'pass' && client.write(data));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    hang: () => {
      mode = 'hang';
    },
    stop: () => {
      mode = 'stop';
      breakAll();
    },
    resume: () => {
      mode = 'pass';
      breakAll();
    },
    close: async () => {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port of this machine at which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
