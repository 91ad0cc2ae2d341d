import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError, refreshes, until, useUpstream } from '../support/gateway.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { connect } from '../support/service.ts';
import { useStage } from '../support/stage.ts';

const MIB = 1024 * 1024;

describe('QuickBooks’ answer', () => {
  const upstream = useUpstream('/base/');
  upstream.env['PROVIDER_TIMEOUT_MS'] = '2000';
  const stage = useStage(createSqlite, upstream.env);
  beforeAll(() => connect(stage.service, stage.simulator, 'org', { realmId: '1' }));

  it.each([200, 201, 400, 403, 404, 409, 429, 500, 502, 503, 504])('of %i passes unchanged', async (status) => {
    const told = { 'retry-after': '60', intuit_tid: '1-tid', 'content-type': 'text/xml;charset=UTF-8', etag: '"7"' };
    const body = `<Fault type="of ${status}">äöü</Fault>`;
    const hidden = {
      'set-cookie': 'canary=1',
      'x-powered-by': 'canary',
      'cache-control': 'public',
      'www-authenticate': 'canary',
    };
    upstream.answer = (request, response) => {
      expect(request.url).toBe('/base/v3/company/1/invoice/1');
      response.writeHead(status, { ...told, ...hidden }).end(body);
    };
    const answer = await call(stage.service, 'org', 'invoice/1');
    expect([answer.status, await answer.text()]).toEqual([status, body]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({ ...told, 'cache-control': 'no-store' });
    expect(JSON.stringify([...answer.headers])).not.toContain('canary');
    expect(refreshes(stage)).toBe(0);
  });

  it.each([301, 302, 303, 307, 308, 304])('of %i, a redirect, is neither followed nor passed on', async (status) => {
    let calls = 0;
    upstream.answer = (_, response) => {
      calls += 1;
      response.writeHead(status, { location: `${upstream.origin}/canary` }).end();
    };
    const answer = await call(stage.service, 'org');
    expect(answer.headers.get('location')).toBeNull();
    await expectOwnError(answer, 502, 'provider_error');
    expect(calls).toBe(1);
  });

  it('that is packed is readable', async () => {
    const body = JSON.stringify({ Invoice: 'x'.repeat(10_000) });
    upstream.answer = (request, response) => {
      const packs = String(request.headers['accept-encoding']).includes('gzip');
      response.writeHead(200, packs ? { 'content-encoding': 'gzip' } : {}).end(packs ? gzipSync(body) : body);
    };
    expect(await (await call(stage.service, 'org')).text()).toBe(body);
    const { response, body: unpacked } = await getPlainly();
    expect([response.headers['content-encoding'], String(await unpacked())]).toEqual([undefined, body]);
  });

  it('of 5 MB begins to arrive before its end was sent', async () => {
    const chunk = Buffer.alloc(MIB, 'x');
    const upstreamResponse = nextResponse();
    const answer = call(stage.service, 'org', 'bulk');
    const response = await upstreamResponse;
    response.writeHead(200, { 'content-type': 'application/pdf' }).write(chunk);
    const reader = (await answer).body?.getReader();
    let length = (await reader?.read())?.value?.length ?? 0;
    expect(length).toBeGreaterThan(0);
    for (let times = 0; times < 4; times += 1) response.write(chunk);
    response.end();
    for (let read = await reader?.read(); read?.value; read = await reader?.read()) length += read.value.length;
    expect(length).toBe(5 * MIB);
  });

  it('is taken no faster than the caller reads it', async () => {
    const upstreamResponse = nextResponse();
    const reading = getPlainly();
    const response = (await upstreamResponse).writeHead(200);
    let sent = 0;
    while (response.write(Buffer.alloc(MIB)) || (await drains(response))) sent += 1;
    expect(sent).toBeLessThan(40); // what the sockets between hold; without an end it would go on
    (await reading).response.destroy();
  });

  it.each([
    ['with a length', { 'content-length': '100' }],
    ['without a length', {}],
  ])('%s that is cut off is never passed off as whole', async (_, headers) => {
    upstream.answer = (_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', ...headers })
        .write('{"half":', () => response.destroy());
    };
    await expect(call(stage.service, 'org').then((answer) => answer.text())).rejects.toThrow();
    upstream.answer = (_request, response) => response.writeHead(200, headers).flushHeaders() ?? response.destroy();
    await expect(call(stage.service, 'org').then((answer) => answer.text())).rejects.toThrow();
  });

  it.each(['before the headers', 'in the middle of the body'])(
    'to a caller who leaves %s is broken off',
    async (when) => {
      const upstreamResponse = nextResponse();
      const leaving = new AbortController();
      const answer = call(stage.service, 'org', 'bulk', { signal: leaving.signal });
      answer.catch(() => undefined);
      const response = await upstreamResponse;
      if (when !== 'before the headers') {
        response.writeHead(200).write('begin');
        await answer;
      }
      const before = stage.service.logs.length;
      const closed = once(response, 'close');
      leaving.abort();
      await closed;
      expect(response.writableFinished).toBe(false);
      await until(() => stage.service.logs.slice(before).some((line) => line.includes('"route"')));
      expect(stage.service.logs.slice(before).filter((line) => JSON.parse(line).level > 30)).toEqual([]);
    },
  );

  it('whose headers do not come in time is 503, and the body may take longer', async () => {
    upstream.answer = () => undefined;
    expect(await expectOwnError(await call(stage.service, 'org'), 503, 'provider_unavailable')).toMatch(/^\d+$/);

    const upstreamResponse = nextResponse();
    const answer = call(stage.service, 'org');
    const response = await upstreamResponse;
    response.writeHead(200).write('a');
    await answer;
    setTimeout(() => response.end('b'), 2_100);
    expect(await (await answer).text()).toBe('ab');
  });

  it('of 401 whose body never ends is not waited for', async () => {
    upstream.answer = (_, response) => response.writeHead(401).write('canary');
    await expectOwnError(await call(stage.service, 'org'), 502, 'provider_error');
  });

  it('of a redirect whose body never ends is not waited for', async () => {
    upstream.answer = (_, response) => response.writeHead(302, { location: '/canary' }).write('canary');
    await expectOwnError(await call(stage.service, 'org'), 502, 'provider_error');
  });

  it('that is broken off before it begins is 503', async () => {
    upstream.answer = (request) => request.socket.destroy();
    await expectOwnError(await call(stage.service, 'org'), 503, 'provider_unavailable');
  });

  it('that is no HTTP is 503', async () => {
    upstream.answer = (request) => request.socket.end('canary\r\n\r\n');
    await expectOwnError(await call(stage.service, 'org'), 503, 'provider_unavailable');
  });

  itKeptSecrets(stage);

  async function nextResponse(): Promise<ServerResponse> {
    return new Promise((resolve) => {
      upstream.answer = (_, response) => resolve(response);
    });
  }

  /** A caller who asks for no packing, and reads when told to. */
  async function getPlainly() {
    const sent = httpRequest(`${stage.service.origin}/v3/company/org/bulk`, { agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { response, body: () => buffer(response) };
  }
});

describe('QuickBooks that nobody can reach', () => {
  const stage = useStage(createSqlite, { QBO_API_BASE_URL: 'http://127.0.0.1:1' });

  it('is 503, and harms no connection', async () => {
    await connect(stage.service, stage.simulator, 'org');
    expect(await expectOwnError(await call(stage.service, 'org'), 503, 'provider_unavailable')).toMatch(/^\d+$/);
    expect(await stage.activeRows('org')).toHaveLength(1);
  });
});

/** True when the stream takes more within a moment. */
async function drains(response: ServerResponse): Promise<boolean> {
  const moment = new Promise<boolean>((resolve) => setTimeout(resolve, 300, false));
  return Promise.race([once(response, 'drain').then(() => true), moment]);
}
