import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError, useUpstream } from '../support/gateway.ts';
import { MINUTES, SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

describe('the gateway', () => {
  const upstream = useUpstream('/base/');
  const harness = useHarness(createSqlite, { env: upstream.env });
  beforeAll(async () => {
    upstream.respond = (_, response) => response.end('{"CompanyInfo":{"CompanyName":"Company"}}');
    await harness.connect('org', '1');
  });

  it.each([200, 201, 400, 403, 404, 409, 429, 500, 502, 503, 504])(
    'returns QuickBooks’ status %i, body and headers of the content unchanged',
    async (status) => {
      const headers = {
        'retry-after': '60',
        intuit_tid: '1-tid',
        'content-type': 'text/xml;charset=UTF-8',
        etag: '"7"',
      };
      const body = `<Fault type="of ${status}">äöü</Fault>`;
      const removed = {
        'set-cookie': 'canary=1',
        'x-powered-by': 'canary',
        'cache-control': 'public',
        'www-authenticate': 'canary',
      };
      upstream.respond = (request, response) => {
        expect(request.url).toBe('/base/v3/company/1/invoice/1');
        response.writeHead(status, { ...headers, ...removed }).end(body);
      };
      const response = await call(harness.service, 'org', 'invoice/1');
      expect([response.status, await response.text()]).toEqual([status, body]);
      expect(Object.fromEntries(response.headers)).toMatchObject({ ...headers, 'cache-control': 'no-cache, no-store' });
      expect(JSON.stringify([...response.headers])).not.toContain('canary');
      expect(harness.refreshes()).toBe(0);
      if (status === 429) await harness.advance(60 * SECONDS); // until the company is called again
    },
  );

  it('runs nothing of a response on the service’s own origin', async () => {
    upstream.respond = (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': 'canary' }).end('<script>');
    const policy = (await call(harness.service, 'org', 'invoice/1')).headers.get('content-security-policy');
    expect(policy?.split('; ')).toEqual(
      expect.arrayContaining(['sandbox', "default-src 'none'", "frame-ancestors 'none'"]),
    );
    expect(policy).not.toMatch(/allow-|canary/);
  });

  it.each([301, 302, 303, 307, 308, 304])('neither follows nor returns the redirect %i', async (status) => {
    let calls = 0;
    upstream.respond = (_, response) => {
      calls += 1;
      response.writeHead(status, { location: `${upstream.origin}/canary` }).end();
    };
    const response = await call(harness.service, 'org');
    expect(response.headers.get('location')).toBeNull();
    await expectOwnError(response, 502, 'provider_error');
    expect(calls).toBe(1);
  });

  it('returns a compressed body only to a caller that accepts it', async () => {
    const body = JSON.stringify({ Invoice: 'x'.repeat(10_000) });
    upstream.respond = (request, response) => {
      const isAccepted = String(request.headers['accept-encoding']).includes('gzip');
      response.writeHead(200, isAccepted ? { 'content-encoding': 'gzip' } : {}).end(isAccepted ? gzipSync(body) : body);
    };
    expect(await (await call(harness.service, 'org')).text()).toBe(body);
    const { response, readBody } = await getUncompressed();
    expect([response.headers['content-encoding'], String(await readBody())]).toEqual([undefined, body]);
  });

  it('streams a body of 5 MiB: its beginning arrives before its end is sent', async () => {
    const chunk = Buffer.alloc(MIB, 'x');
    const upstreamResponse = nextResponse();
    const pending = call(harness.service, 'org', 'bulk');
    const response = await upstreamResponse;
    response.writeHead(200, { 'content-type': 'application/pdf' }).write(chunk);
    const reader = (await pending).body?.getReader();
    let length = (await reader?.read())?.value?.length ?? 0;
    expect(length).toBeGreaterThan(0);
    for (let times = 0; times < 4; times += 1) response.write(chunk);
    response.end();
    for (let read = await reader?.read(); read?.value; read = await reader?.read()) length += read.value.length;
    expect(length).toBe(5 * MIB);
  });

  it('reads a body no faster than the caller does', async () => {
    const upstreamResponse = nextResponse();
    const pending = getUncompressed();
    const response = (await upstreamResponse).writeHead(200);
    let sent = 0;
    while (response.write(Buffer.alloc(MIB)) || (await drains(response))) sent += 1;
    expect(sent).toBeLessThan(40); // the buffers of the sockets; without back pressure it would never end
    (await pending).response.destroy();
  });

  it.each([
    ['with a length', { 'content-length': '100' }],
    ['without a length', {}],
  ])('closes the connection if a body %s is cut off, so that it does not look complete', async (_, headers) => {
    upstream.respond = (_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', ...headers })
        .write('{"half":', () => response.destroy());
    };
    await expect(call(harness.service, 'org').then((response) => response.text())).rejects.toThrow();
    upstream.respond = (_request, response) => response.writeHead(200, headers).flushHeaders() ?? response.destroy();
    await expect(call(harness.service, 'org').then((response) => response.text())).rejects.toThrow();
  });

  it.each(['before the headers', 'in the middle of the body'])(
    'aborts the request to QuickBooks, and logs no warning, if the caller leaves %s',
    async (moment) => {
      const upstreamResponse = nextResponse();
      const leaving = new AbortController();
      const pending = call(harness.service, 'org', 'bulk', { signal: leaving.signal });
      pending.catch(() => undefined);
      const response = await upstreamResponse;
      if (moment === 'in the middle of the body') {
        response.writeHead(200).write('begin');
        await pending;
      }
      const before = harness.logs.length;
      const closed = once(response, 'close');
      leaving.abort();
      await closed;
      expect(response.writableFinished).toBe(false);
      await until(() => harness.logs.slice(before).some((line) => line.includes('"route"')));
      expect(harness.logs.slice(before).filter((line) => JSON.parse(line).level > 30)).toEqual([]);
    },
  );

  it('returns 503 if the headers do not arrive in time', async () => {
    const upstreamResponse = nextResponse();
    const pending = call(harness.service, 'org');
    await upstreamResponse;
    harness.clock.advance(120 * SECONDS);
    expect(await expectOwnError(await pending, 503, 'provider_unavailable')).toMatch(/^\d+$/);
  });

  it('allows the body more time than the headers', async () => {
    const upstreamResponse = nextResponse();
    const pending = call(harness.service, 'org');
    const response = await upstreamResponse;
    response.writeHead(200).write('a');
    await pending;
    harness.clock.advance(10 * MINUTES);
    response.end('b');
    expect(await (await pending).text()).toBe('ab');
  });

  it.each([
    ['401', 401],
    ['a redirect', 302],
  ])('returns 502 without waiting for the end of the body of %s', async (_, status) => {
    upstream.respond = (_request, response) => response.writeHead(status, { location: '/canary' }).write('canary');
    await expectOwnError(await call(harness.service, 'org'), 502, 'provider_error');
  });

  it('returns 503 if the connection is closed before a response', async () => {
    upstream.respond = (request) => request.socket.destroy();
    await expectOwnError(await call(harness.service, 'org'), 503, 'provider_unavailable');
  });

  it('returns 503 if the response is not HTTP', async () => {
    upstream.respond = (request) => request.socket.end('canary\r\n\r\n');
    await expectOwnError(await call(harness.service, 'org'), 503, 'provider_unavailable');
  });

  itKeptSecrets(harness);

  async function nextResponse(): Promise<ServerResponse> {
    return new Promise((resolve) => {
      upstream.respond = (_, response) => resolve(response);
    });
  }

  /** A caller that accepts no compression, and reads the body when it wants to. */
  async function getUncompressed() {
    const sent = httpRequest(`${harness.service.origin}/v3/company/org/bulk`, { agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { response, readBody: () => buffer(response) };
  }

  /** True if the stream drains within a number of iterations of the event loop, each of which moves the data of all sockets. */
  async function drains(response: ServerResponse): Promise<boolean> {
    let isDrained = false;
    response.once('drain', () => {
      isDrained = true;
    });
    for (let iteration = 0; iteration < 1_000 && !isDrained; iteration += 1) await harness.clock.nextTurn();
    return isDrained;
  }
});

describe('the gateway, if QuickBooks cannot be reached,', () => {
  const harness = useHarness(createSqlite, { env: { QBO_API_BASE_URL: 'http://127.0.0.1:1' } });

  it('returns 503 and keeps the connection', async () => {
    await harness.connect('org');
    const response = await call(harness.service, 'org');
    expect(await expectOwnError(response, 503, 'provider_unavailable')).toMatch(/^\d+$/);
    expect(await harness.activeRows('org')).toHaveLength(1);
  });
});
