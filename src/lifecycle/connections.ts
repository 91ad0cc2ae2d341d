import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What one client may hold. */
export interface ConnectionLimits {
  /** Connections of all clients together; more are closed at once. */
  maxConnections: number;
  /** Requests of one connection that are processed at the same time, before the client is disconnected. */
  maxPipelined: number;
  /** Requests of one connection, before it is closed. */
  maxRequests: number;
  /** How long a response may make no progress because the client does not read it, in milliseconds. */
  stallMs: number;
}

/** Why a client was disconnected. */
export type DisconnectReason = 'too_many_connections' | 'too_many_pipelined' | 'stalled';

/** One client's connection. */
interface Connection {
  requests: number;
  /** The responses that are not complete, oldest first. */
  pending: Set<ServerResponse>;
}

/** The open connections of a server, and what each of them holds. */
export class Connections {
  private readonly limits: ConnectionLimits;
  private readonly onDisconnect: (reason: DisconnectReason) => void;
  private readonly open = new Map<Socket, Connection>();

  constructor(server: Server, limits: ConnectionLimits, onDisconnect: (reason: DisconnectReason) => void) {
    this.limits = limits;
    this.onDisconnect = onDisconnect;
    server.maxConnections = limits.maxConnections;
    server.on('drop', () => onDisconnect('too_many_connections'));
    server.on('connection', (socket) => {
      const connection: Connection = { requests: 0, pending: new Set() };
      this.open.set(socket, connection);
      socket.once('close', () => {
        this.open.delete(socket);
        queueMicrotask(() => closeAll(connection.pending)); // after Node has closed the oldest
      });
    });
    server.setTimeout(limits.stallMs, (socket) => this.disconnectStalled(socket));
  }

  /** Counts a request. Returns false, and disconnects the client, if it has too many at the same time. */
  accept(socket: Socket, response: ServerResponse): boolean {
    const connection = this.open.get(socket);
    if (!connection) return false;
    if (connection.pending.size >= this.limits.maxPipelined) {
      if (!socket.destroyed) this.onDisconnect('too_many_pipelined');
      socket.destroy();
      return false;
    }
    connection.requests += 1;
    if (connection.requests >= this.limits.maxRequests) response.setHeader('Connection', 'close');
    connection.pending.add(response);
    response.once('close', () => connection.pending.delete(response));
    return true;
  }

  /** Returns the response to the last request of a connection, unless it is complete. */
  lastPending(socket: Socket): ServerResponse | undefined {
    return [...(this.open.get(socket)?.pending ?? [])].at(-1);
  }

  /** Closes the connections that never had a request, which Node does not count as idle. */
  closeUnused(): void {
    for (const [socket, { requests }] of this.open) if (requests === 0) socket.destroy();
  }

  /** Called when nothing was received or sent for a while: a request that waits for a provider is no reason. */
  private disconnectStalled(socket: Socket): void {
    const isPending = this.lastPending(socket) !== undefined;
    if (isPending && socket.writableLength === 0) return;
    if (isPending) this.onDisconnect('stalled');
    socket.destroy();
  }
}

/** Closes the responses that waited for an earlier one of the same connection: Node forgets them, and what they hold. */
function closeAll(pending: Iterable<ServerResponse>): void {
  for (const response of pending) {
    response.destroyed = true;
    response.emit('close');
  }
}
