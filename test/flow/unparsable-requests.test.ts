import { describe, expect, it } from '@jest/globals';
import { createApp } from '../../src/app.ts';
import { listen } from '../../src/lifecycle/listen.ts';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { scrape } from '../support/metrics.ts';
import { connectRaw } from '../support/raw-client.ts';
import { PREFIX } from '../support/requests.ts';
import { problemOf, send } from '../support/send.ts';
import { until } from '../support/until.ts';

const HOST = 'Host: localhost\r\n';
const AUTHORIZED = `${HOST}Authorization: Bearer ${KEYS.billing}\r\nTransfer-Encoding: chunked\r\n`;
const CANARY = 'canary-of-an-unparsable-request';

describe('a request that Node’s parser rejects', () => {
  const harness = useHarness(createSqlite, { env: WITH_KEYS });

  it.each<[string, string, number, string]>([
    ['headers over 32 KiB', `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(33 * 1024)}\r\n\r\n`, 431, 'headers_too_large'],
    ['a path over 32 KiB', `GET /${'x'.repeat(33 * 1024)} HTTP/1.1\r\n${HOST}\r\n`, 431, 'headers_too_large'],
    ['many headers', `GET / HTTP/1.1\r\n${HOST}${'X-A: b\r\n'.repeat(6_000)}\r\n`, 431, 'headers_too_large'],
    ['very many headers', `GET / HTTP/1.1\r\n${HOST}${'a:\r\n'.repeat(25_000)}\r\n`, 431, 'headers_too_large'],
    ['no HTTP', `${CANARY}\r\n\r\n`, 400, 'invalid_request'],
    ['the handshake of TLS', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', 400, 'invalid_request'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'invalid_request'],
    ['an unknown method', `${CANARY.toUpperCase()} / HTTP/1.1\r\n${HOST}\r\n`, 400, 'invalid_request'],
    ['a header without a name', `GET / HTTP/1.1\r\n${HOST}: ${CANARY}\r\n\r\n`, 400, 'invalid_request'],
    ['no Host', `GET /healthz?${CANARY} HTTP/1.1\r\n\r\n`, 400, 'invalid_request'],
    ['two Hosts', `GET /healthz HTTP/1.1\r\n${HOST}host: ${CANARY}\r\n\r\n`, 400, 'invalid_request'],
    ['the same Host twice', `GET /healthz HTTP/1.0\r\n${HOST}${HOST}\r\n`, 400, 'invalid_request'],
    [
      'a length and chunks',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
      'invalid_request',
    ],
    ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400, 'invalid_request'],
    [
      'an unknown expectation',
      `GET /healthz HTTP/1.1\r\n${HOST}Expect: ${CANARY}\r\nConnection: close\r\n\r\n`,
      400,
      'invalid_request',
    ],
    [
      'CONNECT',
      `CONNECT ${CANARY}.example:443 HTTP/1.1\r\nHost: ${CANARY}.example:443\r\n\r\n`,
      405,
      'method_not_allowed',
    ],
    [
      'a chunk without a length',
      `POST ${PREFIX}/connect/acme HTTP/1.1\r\n${AUTHORIZED}\r\n${CANARY}\r\n`,
      400,
      'invalid_request',
    ],
    [
      'a broken chunk in a gateway call',
      `POST /v3/company/acme/invoice HTTP/1.1\r\n${AUTHORIZED}\r\n1\r\nx\r\n${CANARY}\r\n`,
      400,
      'invalid_request',
    ],
  ])('gets a problem, a log line and a count like every other: %s', async (_, request, status, code) => {
    const [before, logged] = [await counts(), harness.logs.length];
    const client = await connectRaw(harness.service.origin);
    client.send(Buffer.from(request, 'latin1'));
    const received = await client.closed();
    const [head = '', body = ''] = received.split('\r\n\r\n');
    const problem = JSON.parse(body);
    expect([head.split('\r\n')[0], problem.status, problem.code]).toEqual([
      expect.stringContaining(`HTTP/1.1 ${status} `),
      status,
      code,
    ]);
    for (const header of [
      /^x-request-id: [\w-]{36}$/im,
      /^content-type: application\/problem\+json/im,
      /^cache-control: no-cache, no-store$/im,
      /^content-security-policy: default-src 'none';/im,
      /^x-content-type-options: nosniff$/im,
      /^connection: close$/im,
    ]) {
      expect(head).toMatch(header);
    }
    expect(head).toContain(problem.request_id);
    await until(() => harness.logs.length > logged);
    const lines = harness.logs.slice(logged).filter((line) => JSON.parse(line).msg === 'request');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ request_id: problem.request_id, status, code }]);
    expect(`${received}${harness.logs.slice(logged).join()}`.toLowerCase()).not.toContain(CANARY);
    expect((await counts()) - before).toBe(1);
  });

  it.each([
    ['CONNECT', 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n'],
    ['an unknown expectation', `GET / HTTP/1.1\r\n${HOST}Expect: x\r\n\r\n`],
    ['an upgrade', `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`],
    ['no HTTP', 'x\r\n\r\n'],
  ])('does not end the process if it follows requests that are in progress: %s', async (_, request) => {
    const get = `GET ${PREFIX}/status/acme HTTP/1.1\r\n${HOST}Authorization: Bearer ${KEYS.billing}\r\n\r\n`;
    for (const before of [1, 2, 4]) {
      const client = await connectRaw(harness.service.origin);
      client.send(`${get.repeat(before)}${request}${request}`);
      client.socket.end();
      await client.closed();
    }
    expect((await send(harness.service.origin, '/healthz')).status).toBe(200);
  });

  it('gets 400 if it ends in the middle of its headers', async () => {
    const client = await connectRaw(harness.service.origin);
    client.socket.end(`GET / HTTP/1.1\r\nHos`);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
  });

  it('is logged as aborted, like any other, if the caller leaves in the middle of its body', async () => {
    const logged = harness.logs.length;
    const client = await connectRaw(harness.service.origin);
    client.socket.end(`POST ${PREFIX}/connect/acme HTTP/1.1\r\n${AUTHORIZED}\r\n5\r\nab`);
    expect(await client.closed()).toBe('');
    await until(() => harness.logs.length > logged);
    const [line] = harness.logs.slice(logged).map((text) => JSON.parse(text));
    expect(line).toMatchObject({ msg: 'request', route: `${PREFIX}/connect/:organization_id`, aborted: true });
    expect(line).not.toHaveProperty('status');
  });

  it('leaves the responses before it intact', async () => {
    const client = await connectRaw(harness.service.origin);
    client.send(
      `GET ${PREFIX}/status/acme HTTP/1.1\r\n${HOST}Authorization: Bearer ${KEYS.billing}\r\n\r\n${CANARY}\r\n`,
    );
    const received = await client.closed();
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(received).toContain('"connected":false');
  });

  it('does not change the outcome of a request whose body is not needed', async () => {
    await harness.connect('bodyless');
    const client = await connectRaw(harness.service.origin);
    client.send(`POST ${PREFIX}/disconnect/bodyless HTTP/1.1\r\n${AUTHORIZED}\r\n${CANARY}\r\n`);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 200 [\s\S]*"success":true/);
    expect(await harness.activeRows('bodyless')).toEqual([]);
  });

  it('that is not complete in time gets 400, without its body being processed', async () => {
    const limits = { headersTimeout: 100, requestTimeout: 200 };
    const server = await listen(createApp(harness.home), { host: '127.0.0.1', port: 0, limits });
    const origin = `http://127.0.0.1:${server.address.port}`;
    const [headers, body] = [await connectRaw(origin), await connectRaw(origin)];
    headers.send(`GET / HTTP/1.1\r\n${HOST}X: y`);
    body.send(`POST /api/v1/oauth/quickbooks/connect/acme HTTP/1.1\r\n${AUTHORIZED}\r\n5\r\nab`);
    for (const client of [headers, body]) {
      expect(await client.closed()).toMatch(/^HTTP\/1\.1 400 [\s\S]*not received in time/);
    }
    await server.close();
  });

  it('is not a request with 32 KiB of headers, or one that expects 100-continue', async () => {
    const { origin } = harness.service;
    expect((await send(origin, '/healthz', { headers: { 'X-Padding': 'x'.repeat(32 * 1024 - 200) } })).status).toBe(
      200,
    );
    const headers = { ...bearer(KEYS.billing), Expect: '100-continue' };
    expect(problemOf(await send(origin, `${PREFIX}/confirm/acme`, { method: 'POST', headers, body: '{}' }))).toBe(
      'invalid_request',
    );
  });

  /** How many requests the metrics have counted. */
  async function counts(): Promise<number> {
    harness.clock.advance(1 * SECONDS);
    const samples = Object.entries(await scrape(harness.service));
    const requests = samples.filter(
      ([name]) => /^http_request_duration_seconds_count/.test(name) && !/\/metrics/.test(name),
    );
    return requests.reduce((total, [, value]) => total + value, 0);
  }
});
