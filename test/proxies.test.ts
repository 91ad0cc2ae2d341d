import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { Agent, request } from 'node:https';
import { type AddressInfo, connect as connectSocket, createServer as createRelay } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../dev/intuit-simulator/simulator.ts';
import { createSqlite } from './support/databases.ts';
import { environment, FRONTEND_URL } from './support/environment.ts';
import type { TestDatabase } from './support/own-database.ts';
import { projectFile, runServer, runToEnd, type ServiceProcess } from './support/processes.ts';
import { PREFIX } from './support/requests.ts';
import { describeEachProxy, prepareProxy, type ReverseProxy } from './support/reverse-proxy.ts';
import { problemOf, type Sent, send } from './support/send.ts';
import { until } from './support/until.ts';

const MIB = 1024 * 1024;
const LIMIT = 30;
const POST = { method: 'POST' };
const CHUNKED =
  'POST /v3/company/acme/query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';

describeEachProxy('the built service', (kind) => {
  let simulator: IntuitSimulator;
  let quickbooks: Server;
  /** The bytes of the bodies that QuickBooks has received. */
  let received = 0;
  let database: TestDatabase;
  let proxy: ReverseProxy;
  let service: ServiceProcess;

  beforeAll(async () => {
    simulator = await startIntuitSimulator();
    quickbooks = createServer(async (incoming, response) => {
      for await (const chunk of incoming) received += chunk.length;
      response.end(incoming.method === 'GET' ? '{"CompanyInfo":{"CompanyName":"Company"}}' : String(received));
    });
    quickbooks.listen(0, '127.0.0.1');
    await once(quickbooks, 'listening');
    database = await createSqlite();
    expect(await runToEnd('bin/run.js', ['migrate', 'latest'], { DATABASE_URL: database.url })).toMatchObject({
      code: 0,
    });
    proxy = await prepareProxy(kind);
    service = await startService(proxy.origin);
    await proxy.start(new URL(service.origin).port);
    expect(await connect('acme')).toBe(`${FRONTEND_URL}/settings/integrations?connected=true&system=quickbooks`);
  }, 30_000);
  afterAll(async () => {
    quickbooks.close();
    quickbooks.closeAllConnections();
    await proxy.close();
    await service.kill('SIGKILL');
    await simulator.close();
    await database.drop();
  });

  it('connects a company, returns its status, and calls QuickBooks', async () => {
    expect((await get(`${PREFIX}/status/acme`)).body).toMatch('"connected":true');
    expect((await get('/api/v1/quickbooks/acme/companyinfo/1')).body).toMatch('CompanyInfo');
    expect((await get('/v3/company/acme/query?query=select%20*%20from%20Invoice', POST)).status).toBe(200);
  });

  it('opens a connect link without credentials, once', async () => {
    const { connect_url } = JSON.parse((await get(`${PREFIX}/connect/other`, POST)).body);
    expect(connect_url).toMatch(proxy.origin);
    const { pathname, search } = new URL(connect_url);
    expect((await get(pathname + search)).status).toBe(302);
  });

  it('serves the API reference', async () => {
    expect((await get('/docs')).body).toMatch('docs/swagger-ui.css');
    expect((await get('/docs/swagger-ui.css')).status).toBe(200);
    expect(JSON.parse((await get('/openapi.json')).body).servers).toEqual([{ url: proxy.origin }]);
  });

  it('streams an upload to QuickBooks while it arrives', async () => {
    received = 0;
    const headers = { 'content-length': 8 * MIB, 'content-type': 'application/octet-stream' };
    const url = `${proxy.origin}/api/v1/quickbooks/acme/upload`;
    const upload = request(url, { method: 'POST', headers, ca: proxy.ca, agent: false });
    const response = once(upload, 'response');
    upload.write(Buffer.alloc(4 * MIB));
    await until(() => received > 2 * MIB);
    upload.end(Buffer.alloc(4 * MIB));
    expect(await text((await response)[0])).toBe(String(8 * MIB));
  });

  it('rejects a body over 100 MiB, and elsewhere one over 16 KiB, as a problem', async () => {
    const tooLong = { method: 'POST', headers: { 'content-length': String(100 * MIB + 1) } };
    expect(await problem('/api/v1/quickbooks/acme/upload', tooLong)).toEqual([413, 'payload_too_large']);
    const body = 'x'.repeat(17 * 1024);
    expect(await problem(`${PREFIX}/connect/acme`, { method: 'POST', body })).toEqual([413, 'payload_too_large']);
  });

  it('forwards paths as they are, still encoded', async () => {
    expect(await problem('/api/v1/quickbooks/acme/a%2F..%2F..%2Fb')).toEqual([400, 'invalid_request']);
    expect(await problem(`${PREFIX}/status/a%2Fb`)).toEqual([400, 'invalid_request']);
    expect(await problem(`${PREFIX}//status/acme`)).toEqual([404, 'not_found']);
  });

  it('reports the address of the caller, whatever X-Forwarded-For it sends', async () => {
    const from = (address: string, forwarded: string) =>
      get(`${PREFIX}/callback`, { from: address, headers: { 'X-Forwarded-For': forwarded } });
    const statuses = [];
    for (let call = 0; call <= LIMIT; call += 1) statuses.push((await from('127.0.7.1', `10.0.0.${call}`)).status);
    expect(statuses).toEqual([...Array(LIMIT).fill(400), 429]);
    expect((await from('127.0.7.2', '127.0.7.1')).status).toBe(400);
  });

  it('passes a request ID on in both directions', async () => {
    const headers = { 'X-Request-Id': 'from-the-caller' };
    expect((await get('/healthz', { headers })).headers['x-request-id']).toBe('from-the-caller');
    await until(() => service.stdout().includes('from-the-caller'));
    expect((await get('/healthz')).headers['x-request-id']).toMatch(/^[\w-]{8,128}$/);
  });

  it('does not forward /metrics', async () => {
    expect(await problem('/metrics')).toEqual([404, 'not_found']);
    expect(await problem('/METRICS')).toEqual([404, 'not_found']);
  });

  it('redirects from http to the name that is configured, not the one in the request', async () => {
    const response = await send(proxy.plainOrigin, '/docs?a=1', { headers: { host: 'attacker.example' } });
    expect([response.status, response.headers['location']]).toEqual([308, 'https://accounting.example.com/docs?a=1']);
  });

  it.each<[string, string]>([
    ['a request line that is none', 'canary\r\n\r\n'],
    ['an address that is too long', `GET /${'a'.repeat(80_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['headers that are too large', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(80_000)}\r\n\r\n`],
    ['a path that cannot be decoded', 'GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['a length that is no number', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n'],
    ['another transfer encoding', 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: canary\r\n\r\n'],
    ['a chunk that is none', `${CHUNKED}canary\r\n`],
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['CONNECT', 'CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
  ])('responds with a problem to %s, unless its own page cannot be replaced', async (_, bytes) => {
    const [head = '', body = ''] = (await sendBytes(bytes)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 4\d\d /);
    if (kind.ownPage && body === kind.ownPage) return;
    expect(head).toMatch(/content-type: application\/problem\+json/i);
    const { status, code } = JSON.parse(body.replace(/^[0-9a-f]+\r\n|\r\n0$/g, ''));
    expect(['invalid_request', 'headers_too_large', 'method_not_allowed', 'not_found']).toContain(code);
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it('closes idle connections before the service does, which never breaks a request in this way', async () => {
    const shorter = await prepareProxy(kind);
    const replica = await startService(shorter.origin, { KEEP_ALIVE_TIMEOUT_MS: '10000' });
    const observed = await observeIdleConnections(replica.origin);
    await shorter.start(observed.port, (settings) =>
      settings
        .replace('keepalive_timeout 60s;', 'keepalive_timeout 1s;')
        .replace('timeout http-keep-alive 60s', 'timeout http-keep-alive 1s'),
    );
    const agent = new Agent({ keepAlive: true });
    for (let round = 1; round <= 2; round += 1) {
      const sent = request(`${shorter.origin}/v3/company/acme/query`, { method: 'POST', ca: shorter.ca, agent }).end();
      const [response] = await once(sent, 'response');
      expect([response.statusCode, await text(response)]).toEqual([200, expect.any(String)]);
      await until(() => observed.closedBy.length === round);
    }
    expect(observed.closedBy).toEqual(['proxy', 'proxy']);
    agent.destroy();
    await shorter.close();
    observed.close();
    await replica.kill('SIGTERM');
  }, 30_000);

  it('can be below a path: as the handbook says, links, /docs and the API reference have the prefix', async () => {
    const prefixed = await prepareProxy(kind);
    const origin = `${prefixed.origin}/accounting`;
    const replica = await startService(origin);
    await prefixed.start(new URL(replica.origin).port, (settings) => withPrefix(settings, kind.file));
    const at = (path: string, options = {}) => get(`/accounting${path}`, options, prefixed);
    expect(JSON.parse((await at(`${PREFIX}/status/acme`)).body)).toMatchObject({ connected: true });
    expect((await at('/v3/company/acme/query', POST)).status).toBe(200);
    expect(problemOf(await at('/api/v1/quickbooks/acme/a%2F..%2Fb'))).toBe('invalid_request');
    expect(problemOf(await at('/metrics'))).toBe('not_found');
    const { body } = await at('/docs');
    const [, style = ''] = /href="([^"]+\.css)"/.exec(body) ?? [];
    const { pathname } = new URL(style, `${origin}/docs`);
    expect(pathname).toMatch(/^\/accounting\/docs\//);
    expect((await get(pathname, {}, prefixed)).status).toBe(200);
    expect(JSON.parse((await at('/openapi.json')).body).servers).toEqual([{ url: origin }]);
    const { connect_url } = JSON.parse((await at(`${PREFIX}/connect/prefixed`, POST)).body);
    expect(connect_url).toMatch(`${origin}${PREFIX}/connect/prefixed?`);
    const { pathname: path, search } = new URL(connect_url);
    const started = await get(path + search, {}, prefixed);
    expect(started.headers['location']).toMatch(encodeURIComponent(`${origin}${PREFIX}/callback`));
    await prefixed.close();
    await replica.kill('SIGTERM');
  });

  it('logs no code, state, link or query', async () => {
    await until(() => proxy.output().includes('/callback'));
    const lines = proxy.output().match(/^\{.*\}$/gm) ?? [];
    expect(lines.map((line) => JSON.parse(line).path)).toContain(`${PREFIX}/status/acme`);
    expect(proxy.output()).not.toMatch(/[?&](code|state|link|query)=|select|canary/);
  });

  it('returns 503 with Retry-After while no replica runs', async () => {
    await service.kill('SIGTERM');
    for (const [path, options] of [
      [`${PREFIX}/status/acme`, {}],
      [`${PREFIX}/connect/acme`, {}],
      ['/v3/company/acme/query', {}],
      ['/v3/company/acme/query', POST],
    ] as const) {
      const response = await get(path, options);
      expect([path, response.status, problemOf(response)]).toEqual([path, 503, 'service_unavailable']);
      expect(response.headers['retry-after']).toBe('5');
    }
  });

  async function startService(publicOrigin: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    return runServer({
      ...environment(database.url, simulator),
      NODE_ENV: 'production',
      QBO_REDIRECT_URI: `${publicOrigin}${PREFIX}/callback`,
      QBO_API_BASE_URL: `http://127.0.0.1:${(quickbooks.address() as AddressInfo).port}`,
      TRUST_PROXY: '1',
      RATE_LIMIT_PER_MINUTE: String(LIMIT),
      ...env,
    });
  }

  /** The whole flow of one browser. Returns where it ends. */
  async function connect(organization: string): Promise<string> {
    const started = await get(`${PREFIX}/connect/${organization}`);
    const { pathname, search } = new URL(await simulator.authorize(String(started.headers['location'])));
    const cookie = String(started.headers['set-cookie']).split(';')[0] ?? '';
    return String((await get(pathname + search, { headers: { cookie } })).headers['location']);
  }

  async function get(path: string, options: Parameters<typeof send>[2] = {}, { origin, ca } = proxy): Promise<Sent> {
    return send(origin, path, { ...options, ca });
  }

  /** The status and code of a problem. */
  async function problem(path: string, options: Parameters<typeof send>[2] = {}): Promise<[number, unknown]> {
    const response = await get(path, options);
    return [response.status, problemOf(response)];
  }

  /** Sends exactly these bytes. Returns what is received until the proxy closes the connection. */
  async function sendBytes(bytes: string): Promise<string> {
    const socket = connectTls({ port: Number(new URL(proxy.origin).port), host: 'localhost', ca: proxy.ca });
    await once(socket, 'secureConnect');
    socket.on('error', () => undefined); // closed while it still sends
    let response = '';
    socket.on('data', (chunk) => (response += chunk));
    socket.write(bytes);
    await once(socket, 'close');
    return response;
  }
});

/** Starts a relay to the service that notes which side closes each connection on which a POST was sent. */
async function observeIdleConnections(origin: string) {
  const closedBy: ('proxy' | 'service')[] = [];
  const relay = createRelay((proxy) => {
    const service = connectSocket(Number(new URL(origin).port), '127.0.0.1');
    let isUsed = false;
    const note = (side: 'proxy' | 'service') => () => {
      if (isUsed) closedBy.push(side);
      isUsed = false;
    };
    proxy.on('data', (data) => (isUsed ||= data.includes('POST ')));
    proxy.on('end', note('proxy')).on('error', note('proxy')); // HAProxy resets it
    service.on('end', note('service')).on('error', () => undefined);
    proxy.on('close', () => service.destroy());
    proxy.pipe(service).pipe(proxy);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return { port: String((relay.address() as AddressInfo).port), closedBy, close: () => relay.close() };
}

/** Changes a configuration with the handbook's command for a path prefix. */
function withPrefix(settings: string, file: string): string {
  const handbook = readFileSync(projectFile('docs/operations/deployment.md'), 'utf8');
  const [, expression = ''] = new RegExp(`^ *sed -i '(.+)' ${file}$`, 'm').exec(handbook) ?? [];
  expect(expression).not.toBe('');
  return execFileSync('sed', [expression], { input: settings, encoding: 'utf8' });
}
