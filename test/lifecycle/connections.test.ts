import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { listen } from '../../src/lifecycle/listen.ts';
import { connectRaw, statusesOf } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
/** More than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(32 * 1024 * 1024);
const CHUNK = Buffer.alloc(1024 * 1024);

type Limits = NonNullable<Parameters<typeof listen>[1]['limits']>;
/** Why clients were disconnected. */
const reasons: string[] = [];
const cleanUp: (() => Promise<unknown>)[] = [];

async function start(listener: RequestListener, limits: Limits): Promise<string> {
  const server = await listen(listener, {
    host: '127.0.0.1',
    port: 0,
    limits,
    onDisconnect: (reason) => reasons.push(reason),
  });
  cleanUp.push(() => server.close());
  return `http://127.0.0.1:${server.address.port}`;
}

afterEach(async () => {
  reasons.splice(0);
  for (const step of cleanUp.splice(0)) await step();
});

describe('a client', () => {
  it('that pipelines more requests than are processed at the same time is disconnected', async () => {
    const pending: ServerResponse[] = [];
    let closed = 0;
    const origin = await start(
      (_request, response) => {
        pending.push(response);
        response.once('close', () => (closed += 1));
      },
      { maxPipelined: 3 },
    );
    const client = await connectRaw(origin);
    client.send(GET.repeat(3));
    await until(() => pending.length === 3);
    client.send(GET.repeat(700));
    expect(await client.closed()).toBe('');
    expect(pending).toHaveLength(3);
    expect(reasons).toEqual(['too_many_pipelined']);
    await until(() => closed === 3); // also those that waited for the first: what they hold is released
  });

  it('that pipelines fewer gets every response, in order', async () => {
    let served = 0;
    const origin = await start(
      (_request, response) => response.setHeader('Content-Length', String(++served).length).end(String(served)),
      { maxPipelined: 3 },
    );
    const client = await connectRaw(origin);
    for (let round = 0; round < 5; round += 1) {
      client.send(GET.repeat(2));
      await until(() => statusesOf(client.received()).length === (round + 1) * 2);
    }
    const bodies = [...client.received().matchAll(/\r\n\r\n(\d+)/g)].map(([, body]) => Number(body));
    expect(bodies).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    client.socket.destroy();
  });

  it('that does not read a response is disconnected, also if it keeps sending', async () => {
    let closed = false;
    const origin = await start(
      (_request, response) => {
        response.once('close', () => (closed = true));
        response.end(LARGE);
      },
      { stallMs: 100, headersTimeout: 200 },
    );
    const client = await connectRaw(origin, false);
    client.send(GET);
    const sending = setInterval(() => client.send('x'), 20);
    await until(() => closed);
    clearInterval(sending);
    expect(reasons).toEqual(['stalled']);
    client.socket.destroy();
  });

  it('that does not read releases what the response is streamed from', async () => {
    let isReleased = false;
    const upstream = createServer((_request, response) => {
      response.once('close', () => (isReleased = true));
      const send = () => {
        while (response.write(CHUNK));
        response.once('drain', send);
      };
      send();
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    cleanUp.push(async () => upstream.close());
    const { port } = upstream.address() as { port: number };
    const { pipeline } = await import('node:stream/promises');
    const { request: get } = await import('undici');
    const forward: RequestListener = async (_request, response) => {
      const { body } = await get(`http://127.0.0.1:${port}`);
      await pipeline(body, response).catch(() => undefined);
    };
    const origin = await start(forward, { stallMs: 100 });
    const client = await connectRaw(origin, false);
    client.send(GET.repeat(2));
    await until(() => isReleased);
    client.socket.destroy();
  });

  it('that waits for a slow response is not disconnected', async () => {
    let finish: (() => void) | undefined;
    const origin = await start((_request, response) => (finish = () => response.end('late')), { stallMs: 50 });
    const client = await connectRaw(origin);
    client.send(GET);
    await until(() => finish !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 200)); // several times the limit
    finish?.();
    await until(() => client.received().endsWith('late'));
    expect(reasons).toEqual([]);
    client.socket.destroy();
  });

  it('that sends nothing, or only a part of the headers, is disconnected', async () => {
    const origin = await start((_request, response) => response.end(), { headersTimeout: 100 });
    const [silent, partial] = [await connectRaw(origin), await connectRaw(origin)];
    partial.send('GET / HTTP/1.1\r\nHost: ');
    await Promise.all([silent.closed(), partial.closed()]);
  });

  it('is refused if there are too many connections, until one of them is closed', async () => {
    const origin = await start((_request, response) => response.end('ok'), { maxConnections: 2 });
    const [first, second] = [await connectRaw(origin), await connectRaw(origin)];
    for (const client of [first, second]) {
      client.send(GET);
      await until(() => client.received().endsWith('ok'));
    }
    const third = await connectRaw(origin);
    third.send(GET);
    expect(await third.closed()).toBe('');
    expect(reasons).toEqual(['too_many_connections']);
    first.socket.destroy();
    await until(async () => (await fetch(origin).catch(() => undefined))?.ok);
    second.socket.destroy();
  });

  it('is asked to open a new connection after many requests', async () => {
    const origin = await start((_request, response) => response.end('ok'), { maxRequests: 3 });
    const client = await connectRaw(origin);
    client.send(GET.repeat(3));
    const received = await client.closed();
    expect(statusesOf(received)).toEqual([200, 200, 200]);
    expect(received.match(/^connection: (?:close|keep-alive)/gim)?.map((line) => line.toLowerCase())).toEqual([
      'connection: keep-alive',
      'connection: keep-alive',
      'connection: close',
    ]);
  });
});
