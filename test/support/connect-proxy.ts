import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** An HTTP proxy of a test's own. It opens tunnels to this machine, whatever the name of the host. */
export interface ConnectProxy {
  /** With the credentials of `CREDENTIALS`. */
  url: string;
  /** Each CONNECT, in order of arrival. */
  requests: { target: string; authorization: string | undefined }[];
  /** What a CONNECT gets: a tunnel, no response, a broken connection, or a response with this status; perhaps later. */
  response: ProxyResponse | Promise<ProxyResponse>;
  /** Holds what clients send through new tunnels, until the returned function is called. */
  hold(): () => void;
  close(): Promise<void>;
}

type ProxyResponse = 'tunnel' | 'hang' | 'break' | number;

/** What no log line may contain, in both forms. */
export const CREDENTIALS = { user: 'proxy-user', password: 'canary-proxy-p%40ss' };
export const AUTHORIZATION = `Basic ${Buffer.from('proxy-user:canary-proxy-p@ss').toString('base64')}`;

/** Starts a proxy on a free port. @param certificate if the connection to the proxy is to be encrypted */
export async function startConnectProxy(certificate?: { cert: Buffer; key: Buffer }): Promise<ConnectProxy> {
  const server = certificate ? createSecureServer(certificate) : createServer();
  const sockets = new Set<Duplex>();
  let held: (() => void)[] | undefined;
  server.on('connect', async (request, client: Socket) => {
    const { url: target = '', headers } = request;
    proxy.requests.push({ target, authorization: headers['proxy-authorization'] });
    sockets.add(client.on('error', () => undefined));
    const response = await proxy.response;
    if (response === 'hang') return;
    if (response === 'break') return void client.destroy();
    if (typeof response === 'number') return void client.end(`HTTP/1.1 ${response} No\r\n\r\n<h1>No</h1>`);
    const upstream = connect(Number(target.split(':').at(-1)), '127.0.0.1');
    sockets.add(upstream.on('error', () => client.destroy()));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    const pass = () => client.pipe(upstream);
    if (held) held.push(pass);
    else pass();
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { user, password } = CREDENTIALS;
  const proxy: ConnectProxy = {
    url: `${certificate ? 'https' : 'http'}://${user}:${password}@127.0.0.1:${port}`,
    requests: [],
    response: 'tunnel',
    hold: () => {
      held = [];
      return () => {
        for (const pass of held ?? []) pass();
        held = undefined;
      };
    },
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return proxy;
}

/** A URL whose host only a proxy knows: the same server under another name. */
export function behindProxy(url: string, host = 'intuit.example'): string {
  return url.replace('127.0.0.1', host);
}
