import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';

/** Speaks TLS for a server that does not. */
export interface TlsRelay {
  port: number;
  /** How many handshakes were completed. */
  handshakes: number;
  close(): Promise<void>;
}

/** Reads a certificate and its key, by their paths. */
export function readCertificate({ certificate, key }: { certificate: string; key: string }) {
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}

/** Starts a relay to a port of this machine. */
export async function startTlsRelay(
  port: string | number,
  certificate: { cert: Buffer; key: Buffer },
): Promise<TlsRelay> {
  const sockets = new Set<TLSSocket>();
  const server = createServer(certificate, (socket) => {
    relay.handshakes += 1;
    sockets.add(socket.on('error', () => undefined));
    const target = connect(Number(port), '127.0.0.1').on('error', () => socket.destroy());
    socket.on('close', () => target.destroy());
    target.on('close', () => socket.destroy());
    socket.pipe(target).pipe(socket);
  });
  server.on('tlsClientError', () => undefined); // a client that does not trust the certificate
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: TlsRelay = {
    port: (server.address() as AddressInfo).port,
    handshakes: 0,
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  return relay;
}
