import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be cut. */
export interface Relay {
  port: number;
  /** From now on nothing listens here, and what was open is broken. */
  refuse(): void;
  /** From now on each connection is reset once something was sent on it. */
  reset(): void;
  /** Lets everything pass, as in the beginning. */
  pass(): Promise<void>;
  close(): void;
}

/** Stands before the server of `url`. */
export async function startRelay(url: string): Promise<Relay> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let resets = false;

  const server = createServer((client) => {
    sockets.add(client.on('error', () => undefined).on('close', () => sockets.delete(client)));
    if (resets) return void client.once('data', () => client.resetAndDestroy());
    const upstream = connect(Number(target.port), target.hostname).on('error', () => client.destroy());
    client.on('close', () => upstream.destroy()).pipe(upstream);
    upstream.on('close', () => client.destroy()).pipe(client);
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    refuse: () => {
      server.close();
      breakAll();
    },
    reset: () => {
      resets = true;
      breakAll();
    },
    pass: async () => {
      resets = false;
      if (!server.listening) await listen(port);
    },
    close: () => {
      server.close();
      breakAll();
    },
  };
}
