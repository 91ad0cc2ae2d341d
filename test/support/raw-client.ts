import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A client that sends any bytes, and reads only if it is asked to. */
export interface RawClient {
  socket: Socket;
  send(text: string | Buffer): void;
  /** Everything received so far. */
  received(): string;
  /** Resolves with everything received once the server has closed the connection. */
  closed(): Promise<string>;
}

/** Opens a connection. @param isReading whether it reads what the server sends */
export async function connectRaw(origin: string, isReading = true): Promise<RawClient> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  let text = '';
  if (isReading) socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  else socket.pause();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined); // a connection that the server resets
  await once(socket, 'connect');
  return {
    socket,
    send: (data) => void socket.write(data),
    received: () => text,
    closed: async () => {
      await closed;
      return text;
    },
  };
}

/** The status lines in what was received. */
export function statusesOf(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
