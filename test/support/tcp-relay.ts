import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP relay to a server, for simulating network failures. */
export interface TcpRelay {
  /** The server's URL through the relay. */
  url: string;
  /** From now on nothing passes, and connections stay open: as if the host had vanished. */
  hang(): void;
  /** Closes all connections and refuses new ones: as if the server had been stopped. */
  refuse(): void;
  /** Closes all connections, and resets each new one once a client has sent something. */
  reset(): void;
  /** Delays the response to every request that contains `text`, until the returned function is called. */
  delayResponses(text: string): () => void;
  /** From now on new connections reach the server of this URL, as after a failover. Open connections stay where they are. */
  redirect(url: string): void;
  /** Lets everything pass again, after closing the connections that did not pass. */
  pass(): Promise<void>;
  close(): void;
}

/** Starts a relay to the server of `url`. */
export async function startTcpRelay(url: string): Promise<TcpRelay> {
  let target = new URL(url);
  const sockets = new Set<Socket>();
  let mode: 'pass' | 'hang' | 'reset' = 'pass';
  let delayedText: string | undefined;
  let delayedActions: (() => void)[] = [];

  const server = createServer((client) => {
    sockets.add(client.on('error', () => undefined).on('close', () => sockets.delete(client)));
    if (mode === 'reset') return void client.once('data', () => client.resetAndDestroy());
    if (mode === 'hang') return;
    let isDelayed = false;
    const respond = (action: () => void) => {
      if (isDelayed && delayedText !== undefined) delayedActions.push(action);
      else action();
    };
    const upstream = connect(Number(target.port || 3306), target.hostname).on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => mode !== 'hang' && respond(() => client.destroy()));
    client.on('data', (data) => {
      if (delayedText !== undefined && data.includes(delayedText)) isDelayed = true;
      if (mode === 'pass') upstream.write(data);
    });
    upstream.on('data', (data) => mode === 'pass' && respond(() => client.write(data)));
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const closeAll = () => {
    delayedText = undefined;
    delayedActions = [];
    for (const socket of sockets) socket.destroy();
  };
  const port = await listen(0);
  const through = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) });
  return {
    url: through.href,
    hang: () => {
      mode = 'hang';
    },
    refuse: () => {
      server.close();
      closeAll();
    },
    reset: () => {
      mode = 'reset';
      closeAll();
    },
    delayResponses: (text) => {
      delayedText = text;
      return () => {
        delayedText = undefined;
        for (const action of delayedActions.splice(0)) action();
      };
    },
    redirect: (to) => {
      target = new URL(to);
    },
    pass: async () => {
      if (mode === 'pass' && server.listening && delayedText === undefined) return;
      mode = 'pass';
      closeAll();
      if (!server.listening) await listen(port);
    },
    close: () => {
      server.close();
      closeAll();
    },
  };
}

/** Returns a port of this machine on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
