import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { call, expectOwnError, sendRaw } from '../support/gateway.ts';
import { useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';

const COMPANY = '9341452000000001';
const MIB = 1024 * 1024;

describeEachDatabase('the gateway', (createDatabase) => {
  const harness = useHarness(createDatabase);

  it('calls QuickBooks for the organization’s company, at both of its paths', async () => {
    const { service, simulator } = harness;
    await harness.connect('Acme_1', COMPANY);
    const responses = await Promise.all([
      fetch(`${service.origin}/api/v1/quickbooks/Acme_1/companyinfo/${COMPANY}`),
      fetch(`${service.origin}/v3/company/Acme_1/companyinfo/${COMPANY}`),
    ]);
    for (const response of responses) {
      expect(await response.json()).toMatchObject({ CompanyInfo: { CompanyName: 'Sandbox Company_US_1' } });
    }
    const [token] = simulator.grantFor(COMPANY)?.accessTokens ?? [];
    expect(simulator.calls).toMatchObject(
      Array(2).fill({ method: 'GET', path: `/v3/company/${COMPANY}/companyinfo/${COMPANY}`, token }),
    );
    await expectOwnError(await call(service, 'acme_1'), 404, 'connection_not_found');
  });

  itKeptSecrets(harness);
});

describe('the gateway', () => {
  const harness = useHarness(createSqlite);
  beforeAll(() => harness.connect('org', '1'));

  it.each([
    "query?query=select%20*%20from%20Invoice%20where%20CustomerRef='O%27Brien'&minorversion=75",
    "echo?query=select+%2B+'a'+%22b%22+from&x=%E2%82%AC&x=&&y",
    'echo?a=1&a=2&b[]=%5B%5D&empty=&c',
    'echo/a%20b/ProfitAndLoss',
    'echo/send?sendTo=a%40b.example',
  ])('forwards the path and the query byte for byte: %s', async (resource) => {
    const head = `GET /api/v1/quickbooks/org/${resource} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    await sendRaw(harness.service.origin, head); // fetch would change it
    expect(harness.simulator.callsTo('api').map(({ url }) => url)).toEqual([`/v3/company/1/${resource}`]);
  });

  it.each([
    ['a binary body', randomBytes(100_000)],
    ['a body of exactly 1 MiB', randomBytes(MIB)],
    ['an empty body', Buffer.alloc(0)],
  ])('forwards %s byte for byte', async (_, body) => {
    const headers = { 'content-type': 'application/octet-stream' };
    const response = await call(harness.service, 'org', 'echo', { method: 'POST', body, headers });
    const bodySha256 = createHash('sha256').update(body).digest('hex');
    expect(await response.json()).toMatchObject({ method: 'POST', bodyLength: body.length, bodySha256 });
  });

  it('forwards a body that is sent in chunks, with its length', async () => {
    const chunks = [randomBytes(MIB / 2), randomBytes(MIB / 2)];
    expect((await post(chunks)).status).toBe(200);
    expect(harness.simulator.callsTo('api')[0]?.headers['content-length']).toBe(String(MIB));
  });

  it('rejects a body of 100 MiB and one byte by its length, before any of it is received', async () => {
    const head = `POST /v3/company/org/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${100 * MIB + 1}\r\n\r\n`;
    expect(await sendRaw(harness.service.origin, head)).toMatch(
      /^HTTP\/1\.1 413 .*\r\nconnection: close\r\n.*"code":"payload_too_large"/is,
    );
    expect(harness.simulator.calls).toEqual([]);
  });

  it('forwards only the headers that concern the request’s content', async () => {
    const forwarded = {
      accept: 'application/pdf',
      'accept-language': 'de, en;q=0.5',
      'content-type': 'application/json; charset=utf-8; x="y"',
      'x-request-id': 'callers-own-id.1',
    };
    const removed = {
      authorization: 'Bearer canary-of-the-caller',
      'proxy-authorization': 'Basic canary',
      cookie: 'session=canary',
      te: 'trailers',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'canary.example',
      forwarded: 'for=203.0.113.7',
      'x-api-key': 'canary',
      host: 'localhost:8080',
    };
    await post([Buffer.from('{}')], { ...forwarded, ...removed });
    const { headers = {} } = harness.simulator.callsTo('api')[0] ?? {};
    const [token] = harness.simulator.grantFor('1')?.accessTokens ?? [];
    expect(headers).toEqual({
      ...forwarded,
      authorization: `Bearer ${token}`,
      'content-length': '2',
      connection: 'keep-alive',
      host: new URL(harness.simulator.origin).host,
    });
  });

  it('forwards a request ID of its own if the caller sent none', async () => {
    const response = await call(harness.service, 'org');
    const id = response.headers.get('x-request-id');
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(harness.simulator.callsTo('api')[0]?.headers['x-request-id']).toBe(id);
  });

  it('returns 500 if the organization’s token cannot be decrypted, while others are served', async () => {
    await harness.connect('unreadable', '2');
    await harness.set('unreadable', { access_token: 'gAAAAAnonsense' as Ciphertext });
    await expectOwnError(await call(harness.service, 'unreadable'), 500, 'internal_error');
    expect(harness.simulator.calls).toEqual([]);
    expect((await call(harness.service, 'org')).status).toBe(200);
  });

  it.each(['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])('returns 405 for %s', async (method) => {
    for (const path of ['/v3/company/org/invoice/1', '/api/v1/quickbooks/org/invoice/1']) {
      const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      const response = await sendRaw(harness.service.origin, head);
      expect(response).toMatch(/^HTTP\/1\.1 405 /);
      expect(response).toMatch(/\r\nAllow: GET, POST\r\n/i);
    }
    expect(harness.simulator.calls).toEqual([]);
  });

  it('forwards nothing, and logs no warning, if the caller leaves before the body is complete', async () => {
    const before = harness.logs.length;
    const headers = { 'content-length': 9 };
    const partial = request(`${harness.service.origin}/v3/company/org/echo`, { method: 'POST', headers });
    partial.on('error', () => undefined).write('half', () => partial.destroy());
    await new Promise((resolve) => partial.once('close', resolve));
    await call(harness.service, 'org', 'echo');
    expect(harness.simulator.callsTo('api')).toMatchObject([{ method: 'GET' }]);
    expect(harness.logs.slice(before).filter((line) => JSON.parse(line).level > 30)).toEqual([]);
  });

  itKeptSecrets(harness);

  /** Sends a body in chunks, without its length. */
  async function post(chunks: Buffer[], headers: Record<string, string> = {}) {
    return new Promise<{ status: number; connection: string; body: string }>((resolve, reject) => {
      const sent = request(`${harness.service.origin}/v3/company/org/echo`, { method: 'POST', headers, agent: false });
      sent.on('error', reject).on('response', async (response) => {
        const body = (await response.setEncoding('utf8').toArray()).join('');
        resolve({ status: response.statusCode ?? 0, connection: response.headers.connection ?? '', body });
      });
      for (const chunk of chunks) sent.write(chunk);
      sent.end();
    });
  }
});
