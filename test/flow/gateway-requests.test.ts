import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Ciphertext } from '../../src/models/connection.ts';
import { createSqlite, describeEachDatabase } from '../support/databases.ts';
import { call, expectOwnError, sendRaw } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const COMPANY = '9341452000000001';
const MIB = 1024 * 1024;

describeEachDatabase('the gateway', (createDatabase) => {
  const stage = useStage(createDatabase);

  it('calls QuickBooks as the organization’s company, in both places', async () => {
    await connect(stage.service, stage.simulator, 'Acme_1', { realmId: COMPANY });
    stage.simulator.resetCalls();
    const answers = await Promise.all([
      fetch(`${stage.service.origin}/api/v1/quickbooks/Acme_1/companyinfo/${COMPANY}`),
      fetch(`${stage.service.origin}/v3/company/Acme_1/companyinfo/${COMPANY}`),
    ]);
    for (const answer of answers) {
      expect(await answer.json()).toMatchObject({ CompanyInfo: { CompanyName: 'Sandbox Company_US_1' } });
    }
    const [token] = stage.simulator.grantFor(COMPANY)?.accessTokens ?? [];
    expect(stage.simulator.calls).toMatchObject(
      Array(2).fill({ method: 'GET', path: `/v3/company/${COMPANY}/companyinfo/${COMPANY}`, token }),
    );
    await expectOwnError(await call(stage.service, 'acme_1'), 404, 'connection_not_found');
  });

  itKeptSecrets(stage);
});

describe('a request through the gateway', () => {
  const stage = useStage(createSqlite);
  beforeAll(() => connect(stage.service, stage.simulator, 'org', { realmId: '1' }));

  it.each([
    "query?query=select%20*%20from%20Invoice%20where%20CustomerRef='O%27Brien'&minorversion=75",
    "echo?query=select+%2B+'a'+%22b%22+from&x=%E2%82%AC&x=&&y",
    'echo?a=1&a=2&b[]=%5B%5D&empty=&c',
    'echo/a%20b/ProfitAndLoss',
    'echo/send?sendTo=a%40b.example',
  ])('keeps its address byte for byte: %s', async (resource) => {
    const head = `GET /api/v1/quickbooks/org/${resource} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    await sendRaw(stage.service.origin, head); // fetch would change it
    expect(stage.simulator.callsTo('api').map(({ url }) => url)).toEqual([`/v3/company/1/${resource}`]);
  });

  it.each([
    ['binary', randomBytes(100_000)],
    ['of exactly 1 MiB', randomBytes(MIB)],
    ['of nothing', Buffer.alloc(0)],
  ])('keeps a body %s byte for byte', async (_, body) => {
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await call(stage.service, 'org', 'echo', { method: 'POST', body, headers });
    const bodySha256 = createHash('sha256').update(body).digest('hex');
    expect(await answer.json()).toMatchObject({ method: 'POST', bodyLength: body.length, bodySha256 });
  });

  it('keeps a body that comes in pieces without a length', async () => {
    const pieces = [randomBytes(MIB / 2), randomBytes(MIB / 2)];
    expect((await post(pieces)).status).toBe(200);
    expect(stage.simulator.callsTo('api')[0]?.headers['content-length']).toBe(String(MIB));
  });

  it('of one byte too many is refused by count, and its connection closed', async () => {
    const answer = await post([randomBytes(MIB), randomBytes(1)]);
    expect(answer).toMatchObject({ status: 413, connection: 'close' });
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'payload_too_large', status: 413 });
    expect(stage.simulator.calls).toEqual([]);
  });

  it('of one byte too many is refused by its length, before any of it comes', async () => {
    const head = `POST /v3/company/org/echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${MIB + 1}\r\n\r\n`;
    expect(await sendRaw(stage.service.origin, head)).toMatch(
      /^HTTP\/1\.1 413 .*\r\nconnection: close\r\n.*"code":"payload_too_large"/is,
    );
    expect(stage.simulator.calls).toEqual([]);
  });

  it('brings its own headers of use, and none that is the caller’s alone', async () => {
    const useful = {
      accept: 'application/pdf',
      'accept-language': 'de, en;q=0.5',
      'content-type': 'application/json; charset=utf-8; x="y"',
      'x-request-id': 'callers-own-id.1',
    };
    const refused = {
      authorization: 'Bearer canary-of-the-caller',
      'proxy-authorization': 'Basic canary',
      cookie: 'session=canary',
      te: 'trailers',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'canary.example',
      forwarded: 'for=203.0.113.7',
      'x-api-key': 'canary',
      host: 'canary.example',
    };
    await post([Buffer.from('{}')], { ...useful, ...refused });
    const { headers = {} } = stage.simulator.callsTo('api')[0] ?? {};
    const [token] = stage.simulator.grantFor('1')?.accessTokens ?? [];
    expect(headers).toEqual({
      ...useful,
      authorization: `Bearer ${token}`,
      'content-length': '2',
      connection: 'keep-alive',
      host: new URL(stage.simulator.origin).host,
    });
  });

  it('is given an id where it has none', async () => {
    const answer = await call(stage.service, 'org');
    const id = answer.headers.get('x-request-id');
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(stage.simulator.callsTo('api')[0]?.headers['x-request-id']).toBe(id);
  });

  it('of an organization whose row no key opens is a fault of ours, and of nobody else', async () => {
    await connect(stage.service, stage.simulator, 'unreadable', { realmId: '2' });
    const sealed = { access_token: 'gAAAAAnonsense' as Ciphertext };
    await stage.knex('oauth_tokens').where({ organization_id: 'unreadable' }).update(sealed);
    stage.simulator.resetCalls();
    await expectOwnError(await call(stage.service, 'unreadable'), 500, 'internal_error');
    expect(stage.simulator.calls).toEqual([]);
    expect((await call(stage.service, 'org')).status).toBe(200);
  });

  it.each(['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])('may not be a %s', async (method) => {
    for (const path of ['/v3/company/org/invoice/1', '/api/v1/quickbooks/org/invoice/1']) {
      const answer = await sendRaw(
        stage.service.origin,
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 405 /);
      expect(answer).toMatch(/\r\nAllow: GET, POST\r\n/i);
    }
    expect(stage.simulator.calls).toEqual([]);
  });

  it('that ends in the middle of its body reaches nobody, and is no fault of ours', async () => {
    const before = stage.service.logs.length;
    const partial = request(`${stage.service.origin}/v3/company/org/echo`, {
      method: 'POST',
      headers: { 'content-length': 9 },
    });
    partial.on('error', () => undefined).write('half', () => partial.destroy());
    await new Promise((resolve) => partial.once('close', resolve));
    await call(stage.service, 'org', 'echo');
    expect(stage.simulator.callsTo('api')).toMatchObject([{ method: 'GET' }]);
    expect(stage.service.logs.slice(before).filter((line) => JSON.parse(line).level > 30)).toEqual([]);
  });

  itKeptSecrets(stage);

  /** A POST without a length, its body in pieces. */
  async function post(pieces: Buffer[], headers: Record<string, string> = {}) {
    return new Promise<{ status: number; connection: string; body: string }>((resolve, reject) => {
      const sent = request(`${stage.service.origin}/v3/company/org/echo`, { method: 'POST', headers, agent: false });
      sent.on('error', reject).on('response', async (response) => {
        const body = (await response.setEncoding('utf8').toArray()).join('');
        resolve({ status: response.statusCode ?? 0, connection: response.headers.connection ?? '', body });
      });
      for (const piece of pieces) sent.write(piece);
      sent.end();
    });
  }
});
