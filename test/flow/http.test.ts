import { request as httpRequest } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { expectProblem, PREFIX } from '../support/requests.ts';
import { itKeptSecrets } from '../support/secrets.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('the service', () => {
  const harness = useHarness(createSqlite);
  const http = () => supertest(harness.service.origin);

  it.each(['12345678', 'a.b_c-D9', 'x'.repeat(128)])('returns the caller’s request ID %s', async (id) => {
    const { headers } = await http().get('/healthz').set('X-Request-Id', id);
    expect(headers['x-request-id']).toBe(id);
  });

  it.each(['1234567', 'x'.repeat(129), 'has space', 'semi;colon', 'ünïcödé-', '<script>', '12345678,12345678'])(
    'replaces the invalid request ID %j',
    async (id) => {
      const { headers } = await http().get('/nowhere').set('X-Request-Id', Buffer.from(id).toString('latin1'));
      expect(headers['x-request-id']).toMatch(UUID);
    },
  );

  it('logs a request with its ID, and with its route instead of its URL', async () => {
    const before = harness.logs.length;
    await http()
      .get(`${PREFIX}/status/acme?code=canary-code`)
      .set('X-Request-Id', 'the-request-id')
      .set('Authorization', 'Bearer canary');
    const lines = harness.logs.slice(before);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        request_id: 'the-request-id',
        method: 'GET',
        route: `${PREFIX}/status/:organization_id`,
        status: 200,
        organization_id: 'acme',
      },
    ]);
    expect(lines.join()).not.toContain('canary');
  });

  it.each([
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', `${PREFIX}/status/acme`],
    ['GET', `${PREFIX}/connect/acme`],
    ['GET', `${PREFIX}/callback`],
    ['POST', `${PREFIX}/disconnect/acme`],
    ['PUT', `${PREFIX}/disconnect/acme`],
    ['GET', '/nowhere'],
  ])('returns the security headers for %s %s', async (method, path) => {
    const { headers } = await send(method, path);
    expect(headers).toMatchObject({
      'x-request-id': expect.stringMatching(UUID),
      'cache-control': 'no-cache, no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': expect.stringMatching(/^(DENY|SAMEORIGIN)$/),
    });
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    for (const name of ['strict-transport-security', 'x-powered-by', 'etag', 'server']) {
      expect(headers).not.toHaveProperty(name);
    }
  });

  it.each([
    ...['HEAD', 'OPTIONS', 'TRACE', 'PUT', 'PATCH', 'DELETE'].map((method) => [method, '/connect/acme', 'GET, POST']),
    ...['HEAD', 'OPTIONS', 'TRACE', 'POST', 'PUT', 'DELETE'].map((method) => [method, '/callback', 'GET']),
    ...['OPTIONS', 'TRACE', 'POST', 'PUT', 'DELETE'].map((method) => [method, '/status/acme', 'GET, HEAD']),
    ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].map((method) => [method, '/disconnect/acme', 'POST']),
  ] as [string, string, string][])('returns 405 for %s %s, and allows %s', async (method, path, allow) => {
    const response = await send(method, PREFIX + path);
    expect([response.status, response.headers['allow']]).toEqual([405, allow]);
    expect(response.headers).not.toHaveProperty('set-cookie');
    if (method !== 'HEAD') expect(JSON.parse(response.body)).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(harness.simulator.calls).toEqual([]);
  });

  it.each(['/healthz', '/readyz', `${PREFIX}/status/acme`])(
    'returns the same for HEAD %s as for GET, without a body',
    async (path) => {
      const response = await http().head(path);
      expect([response.status, response.text ?? '']).toEqual([200, '']);
      expect((await send('DELETE', path)).headers['allow']).toBe('GET, HEAD');
    },
  );

  it.each(['/', '/nowhere', '/api/v1/oauth/quickbooks', `${PREFIX}/connect`, `${PREFIX}/status/a/b`, '/.env'])(
    'returns 404 for GET %s, which is no route',
    async (path) => {
      const response = await send('GET', path);
      expect([response.status, JSON.parse(response.body).code]).toEqual([404, 'not_found']);
    },
  );

  it.each(['%', '%zz', '%E0%A4%A', '%C3%28'])(
    'returns invalid_request for the organization %s, which cannot be decoded',
    async (text) => {
      for (const path of ['connect', 'status']) {
        expectProblem(await http().get(`${PREFIX}/${path}/${text}`), 400, 'invalid_request');
      }
      expectProblem(await http().post(`${PREFIX}/disconnect/${text}`), 400, 'invalid_request');
    },
  );

  it.each(['x'.repeat(37), 'a%20b', 'a.b', '%C3%BC', 'a%2Fb', '%00', "a'--", 'a%0A', '%2e%2e', '*'])(
    'returns invalid_request for the organization %s',
    async (text) => {
      for (const path of ['connect', 'status']) {
        expectProblem(await http().get(`${PREFIX}/${path}/${text}`), 400, 'invalid_request', /organization_id/);
      }
      expectProblem(await http().post(`${PREFIX}/disconnect/${text}`), 400, 'invalid_request', /organization_id/);
    },
  );

  it.each(['x'.repeat(36), '0', '-', '_', 'a-B_9', 'constructor'])('accepts the organization %s', async (text) => {
    await http().get(`${PREFIX}/status/${text}`).expect(200);
  });

  it.each([`${PREFIX}/disconnect/acme`, `${PREFIX}/callback`, '/healthz', '/nowhere'])(
    'returns 413 for POST %s if its Content-Length is over 16 KiB',
    async (path) => {
      const large = await send('POST', path, { 'content-length': '16385' });
      expect([large.status, JSON.parse(large.body).code]).toEqual([413, 'payload_too_large']);
      const whole = await http()
        .post(path)
        .type('json')
        .send('x'.repeat(16 * 1024));
      expect(whole.status).not.toBe(413);
    },
  );

  /** Sends a request as it is given. A body whose length is given is never sent. */
  function send(method: string, path: string, headers: Record<string, string> = {}) {
    return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const request = httpRequest(
        `${harness.service.origin}${path}`,
        { method, headers, agent: false, path },
        async (response) => {
          let body = '';
          for await (const chunk of response) body += chunk;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
          request.destroy();
        },
      ).on('error', reject);
      if (headers['content-length']) request.flushHeaders();
      else request.end();
    });
  }

  itKeptSecrets(harness);
});
