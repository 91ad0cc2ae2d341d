import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** Simulates a cluster's host name: new connections reach the nodes that it points to in turn, open ones stay where they are. */
export interface Forwarder {
  port: number;
  pointTo(...ports: number[]): void;
  /** From now on what a node sends arrives later: it has executed a statement before the client knows. */
  delayResponses(ms: number): void;
  close(): void;
}

/** Starts a forwarder, which refuses connections until it points to a port of this machine. */
export async function startForwarder(): Promise<Forwarder> {
  let targets: number[] = [];
  let accepted = 0;
  let delayMs = 0;
  const later = () =>
    new Transform({
      transform: (data, _, pass) => {
        if (delayMs === 0) pass(null, data);
        else setTimeout(pass, delayMs, null, data);
      },
    });
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = targets[accepted % targets.length];
    accepted += 1;
    if (target === undefined) return void client.destroy();
    const upstream = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(upstream);
    upstream.pipe(later()).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    pointTo: (...ports) => {
      targets = ports;
    },
    delayResponses: (ms) => {
      delayMs = ms;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
