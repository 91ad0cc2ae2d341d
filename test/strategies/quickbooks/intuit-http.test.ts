import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseProxyUrl } from '../../../src/config/proxy-url.ts';
import { Egress } from '../../../src/egress/egress.ts';
import { IntuitHttp } from '../../../src/strategies/quickbooks/intuit-http.ts';
import { behindProxy, type ConnectProxy, startConnectProxy } from '../../support/connect-proxy.ts';
import { DIRECT } from '../../support/egress.ts';
import { closedPort } from '../../support/tcp-relay.ts';
import { TestClock } from '../../support/test-clock.ts';
import { until } from '../../support/until.ts';

const TIMEOUT_MS = 20_000;
const GET = { method: 'GET', headers: {} } as const;

describe('IntuitHttp', () => {
  let clock: TestClock;
  let http: IntuitHttp;
  let server: Server;
  let origin: string;
  let respond: RequestListener;
  let requests: number;
  let sockets: Set<Socket>;

  beforeEach(async () => {
    clock = new TestClock();
    http = new IntuitHttp({ timeoutMs: TIMEOUT_MS, egress: DIRECT, clock });
    requests = 0;
    sockets = new Set();
    server = createServer((request, response) => {
      requests += 1;
      sockets.add(request.socket);
      respond(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  it.each([
    ['application/json', '{"a":[1]}', { a: [1] }],
    ['text/html', '<p>', '<p>'],
    ['application/json', '{', '{'],
    ['application/json', '', ''],
  ])('returns status, headers and body of a response: %s %j', async (type, text, body) => {
    respond = (_, response) => response.writeHead(418, { 'content-type': type, intuit_tid: '1-tid' }).end(text);
    const response = await http.send({ url: origin, ...GET });
    expect(response).toMatchObject({ status: 418, headers: { 'content-type': type, intuit_tid: '1-tid' } });
    expect(response.body).toEqual(body);
  });

  it('sends method, headers and body as they are', async () => {
    respond = async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      response.end(JSON.stringify([request.method, request.url, request.headers['x-name'], text]));
    };
    const sent = { method: 'POST', headers: { 'x-name': 'value' }, body: 'a=1' } as const;
    expect((await http.send({ url: `${origin}/path?q=1`, ...sent })).body).toEqual([
      'POST',
      '/path?q=1',
      'value',
      'a=1',
    ]);
  });

  it('does not follow a redirect', async () => {
    respond = (_, response) => response.writeHead(307, { location: '/elsewhere' }).end();
    expect(await http.send({ url: origin, ...GET })).toMatchObject({
      status: 307,
      headers: { location: '/elsewhere' },
    });
    expect(requests).toBe(1);
  });

  it('opens a connection of its own for each call', async () => {
    respond = (_, response) => response.end('{}');
    await http.send({ url: origin, ...GET });
    await http.send({ url: origin, ...GET });
    expect(sockets.size).toBe(2);
  });

  it.each<[when: string, RequestListener]>([
    ['before its headers', () => undefined],
    ['within its body', (_, response) => response.writeHead(200).write('{"a":')],
  ])('stops waiting for a response after the timeout, %s', async (_, listener) => {
    respond = listener;
    const failed = expect(http.send({ url: origin, ...GET })).rejects.toMatchObject({
      failure: 'unavailable',
      details: { reason: 'timeout', isTimeout: true, isOutcomeUnknown: true },
    });
    await until(() => requests === 1);
    clock.advance(TIMEOUT_MS);
    await failed;
    expect(requests).toBe(1);
  });

  it('reads a response that is already there when the process wakes up after the timeout', async () => {
    respond = (_, response) => response.end('{"kept":true}');
    const response = http.send({ url: origin, ...GET });
    await until(() => requests === 1);
    // The response is in the socket, and no other code has run since: as after a pause of the whole process.
    clock.advance(TIMEOUT_MS);
    expect(await response).toMatchObject({ status: 200, body: { kept: true } });
  });

  it('sends nothing if it may not send any more once the connection is open', async () => {
    respond = (_, response) => response.end('{}');
    await expect(http.send({ url: origin, ...GET, maySend: () => false })).rejects.toMatchObject({
      failure: 'unavailable',
      details: { isTooLate: true },
    });
    expect(requests).toBe(0);
  });

  it('waits for a response until the timeout', async () => {
    let finish = (): unknown => undefined;
    respond = (_, response) => {
      finish = () => response.end('{}');
    };
    const response = http.send({ url: origin, ...GET });
    await until(() => requests === 1);
    clock.advance(TIMEOUT_MS / 2);
    finish();
    expect(await response).toMatchObject({ status: 200 });
  });

  it.each<[failure: string, RequestListener]>([
    ['a connection that is broken', (request) => request.socket.destroy()],
    [
      'a response that breaks off',
      (_, response) => response.writeHead(200, { 'content-length': 9 }).write('{') && response.destroy(),
    ],
    ['a response that is no HTTP', (request) => request.socket.end('no HTTP\r\n\r\n')],
    ['a response of more than 1 MiB', (_, response) => response.end('x'.repeat(1024 * 1024 + 1))],
  ])('attempts once, and does not know the outcome of %s', async (_, listener) => {
    respond = listener;
    const error = await http.send({ url: origin, ...GET }).catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: 'ProviderError',
      failure: 'unavailable',
      details: { reason: expect.any(String), isOutcomeUnknown: true },
    });
    expect(error.details.isTimeout ?? false).toBe(false);
    expect(requests).toBe(1);
  });

  it('reports that nothing was sent if the connection is refused', async () => {
    await expect(http.send({ url: `http://127.0.0.1:${await closedPort()}`, ...GET })).rejects.toMatchObject({
      failure: 'unavailable',
      details: { reason: 'ECONNREFUSED', isOutcomeUnknown: false },
    });
  });

  describe('through a proxy', () => {
    let proxy: ConnectProxy;
    beforeEach(async () => {
      proxy = await startConnectProxy();
      const httpProxy = parseProxyUrl(proxy.url);
      const egress = new Egress({ httpProxy, httpsProxy: httpProxy, noProxy: [] }, clock);
      http = new IntuitHttp({ timeoutMs: TIMEOUT_MS, egress, clock });
      respond = (_, response) => response.end('{}');
    });
    afterEach(() => proxy.close());

    it.each([true, false])('asks whether it may send once the proxy has opened the tunnel: %s', async (maySend) => {
      let open = (): void => undefined;
      proxy.response = new Promise((resolve) => {
        open = () => resolve('tunnel');
      });
      let asked = 0;
      const isAsked = () => {
        asked += 1;
        return maySend;
      };
      const response = http.send({ url: behindProxy(origin), ...GET, maySend: isAsked }).catch((error) => error);
      await until(() => proxy.requests.length === 1);
      expect([asked, requests]).toEqual([0, 0]);
      open();
      expect(await response).toMatchObject(maySend ? { status: 200 } : { details: { isTooLate: true } });
      expect([asked, requests]).toEqual([1, maySend ? 1 : 0]);
    });

    it.each([407, 502, 'break'] as const)(
      'reports that nothing was sent if the proxy opens no tunnel: %s',
      async (no) => {
        proxy.response = no;
        await expect(http.send({ url: behindProxy(origin), ...GET })).rejects.toMatchObject({
          failure: 'unavailable',
          details: { reason: expect.stringMatching(/^PROXY_/), isOutcomeUnknown: false },
        });
        expect([proxy.requests.length, requests]).toEqual([1, 0]);
      },
    );

    it('reports before the timeout that nothing was sent if the proxy does not respond', async () => {
      proxy.response = 'hang';
      const failed = expect(http.send({ url: behindProxy(origin), ...GET })).rejects.toMatchObject({
        details: { reason: 'PROXY_TIMEOUT', isOutcomeUnknown: false },
      });
      await until(() => proxy.requests.length === 1);
      clock.advance(TIMEOUT_MS / 2);
      await failed;
    });
  });
});
