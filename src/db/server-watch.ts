/** Is notified of changes of the servers that connections reach. */
export interface ServerListener {
  /** A new connection reached another server than the ones before: after a failover, which may have lost the latest commits. */
  onOtherServer(): void;
  /** A connection was closed by its server, or cannot be used any more. */
  onDisconnect(): void;
}

/** Follows which server the connections of this process reach. */
export class ServerWatch {
  /** What the newest connection reached. */
  server: string | undefined;
  private readonly listeners: ServerListener[] = [];

  addListener(listener: ServerListener): void {
    this.listeners.push(listener);
  }

  /** @param server what identifies it; one and the same for all nodes of a cluster that loses no commit */
  reached(server: string): void {
    const isOther = this.server !== undefined && this.server !== server;
    this.server = server;
    if (isOther) for (const listener of this.listeners) listener.onOtherServer();
  }

  disconnected(): void {
    for (const listener of this.listeners) listener.onDisconnect();
  }
}
