import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, request } from 'undici';
import { parseProxyUrl } from '../../src/config/proxy-url.ts';
import { Egress } from '../../src/egress/egress.ts';
import { AUTHORIZATION, behindProxy, type ConnectProxy, startConnectProxy } from '../support/connect-proxy.ts';
import { closedPort } from '../support/tcp-relay.ts';
import { TestClock } from '../support/test-clock.ts';
import { until } from '../support/until.ts';

const TIMEOUT_MS = 20_000;

describe('Egress', () => {
  let clock: TestClock;
  let proxy: ConnectProxy;
  let server: Server;
  let origin: string;
  let requests: number;

  beforeEach(async () => {
    clock = new TestClock();
    proxy = await startConnectProxy();
    requests = 0;
    server = createServer((_, response) => {
      requests += 1;
      response.end('hello');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await proxy.close();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  it('reaches an origin through the proxy, by its name, with the credentials of the proxy’s URL', async () => {
    expect(await get(behindProxy(origin))).toBe('200 hello');
    const target = `intuit.example:${new URL(origin).port}`;
    expect(proxy.requests).toEqual([{ target, authorization: AUTHORIZATION }]);
  });

  it('sends no credentials that the proxy’s URL does not have', async () => {
    expect(await get(behindProxy(origin), { url: proxy.url.replace(/\/\/.*@/, '//') })).toBe('200 hello');
    expect(proxy.requests).toMatchObject([{ authorization: undefined }]);
  });

  it('names the default port of an origin to the proxy', async () => {
    proxy.response = 403;
    await get('https://intuit.example');
    await get('http://intuit.example');
    expect(proxy.requests.map(({ target }) => target)).toEqual(['intuit.example:443', 'intuit.example:80']);
  });

  it('reaches loopback, and the hosts in NO_PROXY, without the proxy', async () => {
    expect(await get(origin)).toBe('200 hello');
    expect(await get(origin.replace('127.0.0.1', 'localhost'))).toBe('200 hello');
    expect(await get(behindProxy(origin, '0.0.0.0'), { noProxy: ['0.0.0.0'] })).toBe('200 hello');
    expect(proxy.requests).toEqual([]);
    expect(await get(behindProxy(origin, '0.0.0.0'))).toBe('200 hello');
    expect(proxy.requests).toHaveLength(1);
  });

  it.each([407, 403, 502, 301])('fails with the status of a proxy that responds with %i', async (status) => {
    proxy.response = status;
    expect(await get(behindProxy(origin))).toBe(`PROXY_${status}`);
    expect([proxy.requests.length, requests]).toEqual([1, 0]);
  });

  it('fails with the reason if the proxy cannot be reached, or breaks the connection', async () => {
    expect(await get(behindProxy(origin), { url: `http://127.0.0.1:${await closedPort()}` })).toBe(
      'PROXY_ECONNREFUSED',
    );
    proxy.response = 'break';
    expect(await get(behindProxy(origin))).toBe('PROXY_UND_ERR_SOCKET');
    expect([proxy.requests.length, requests]).toEqual([1, 0]);
  });

  it('fails after the timeout if the proxy does not respond', async () => {
    proxy.response = 'hang';
    const failed = get(behindProxy(origin));
    await until(() => proxy.requests.length === 1);
    clock.advance(TIMEOUT_MS);
    expect(await failed).toBe('PROXY_TIMEOUT');
  });

  it('fails after the timeout if the TLS handshake through the proxy does not end', async () => {
    proxy.hold();
    const failed = get(behindProxy(origin).replace('http:', 'https:'));
    await until(() => proxy.requests.length === 1);
    clock.advance(TIMEOUT_MS - 1000);
    await clock.nextTurn();
    clock.advance(1000);
    expect(await failed).toBe('PROXY_TIMEOUT');
  });

  it('fails with the origin’s own reason if the TLS handshake through the proxy fails', async () => {
    expect(await get(behindProxy(origin).replace('http:', 'https:'))).toMatch(/^(?!PROXY)\w+/);
    expect([proxy.requests.length, requests]).toEqual([1, 0]);
  });

  /** The status and body of a response, or the code of the failure. */
  async function get(url: string, { url: proxyUrl = proxy.url, noProxy = [] as string[] } = {}): Promise<string> {
    const parsed = parseProxyUrl(proxyUrl);
    const egress = new Egress({ httpProxy: parsed, httpsProxy: parsed, noProxy }, clock);
    const client = new Client(url, { connect: egress.connector(url, TIMEOUT_MS) });
    try {
      const { statusCode, body } = await request(url, { dispatcher: client });
      return `${statusCode} ${await body.text()}`;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await client.destroy();
    }
  }
});
