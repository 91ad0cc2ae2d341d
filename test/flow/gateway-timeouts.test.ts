import type { ServerResponse } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError, sendSlowly, useUpstream } from '../support/gateway.ts';
import { SECONDS, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { closedPort } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

const POST = { method: 'POST', body: '{}' };
const MIB = 1024 * 1024;

describe('the gateway', () => {
  const upstream = useUpstream();
  const harness = useHarness(createSqlite, { env: upstream.env });
  beforeAll(async () => {
    upstream.respond = (_, response) => response.end('{"CompanyInfo":{"CompanyName":"Company"}}');
    await harness.connect('org', '1');
  });

  it.each([
    ['GET', {}],
    ['POST', POST],
  ])('waits two minutes for a response to a %s', async (_, init) => {
    const pending = call(harness.service, 'org', 'invoice', init);
    const response = await nextResponse();
    harness.clock.advance(119 * SECONDS);
    response.end('{"late":true}');
    expect(await (await pending).json()).toEqual({ late: true });
  });

  it.each([
    ['a response that does not come', () => harness.clock.advance(120 * SECONDS)],
    ['a connection that breaks', (response: ServerResponse) => response.destroy()],
    ['a response that is not HTTP', (response: ServerResponse) => response.socket?.end('canary\r\n\r\n')],
  ])('returns 504 outcome_unknown without Retry-After for a POST, 503 with it for a GET: %s', async (_, fail) => {
    for (const [init, status, code, retryAfter] of [
      [POST, 504, 'outcome_unknown', null],
      [{}, 503, 'provider_unavailable', '5'],
    ] as const) {
      const pending = call(harness.service, 'org', 'invoice', init);
      fail(await nextResponse());
      expect(await expectOwnError(await pending, status, code)).toBe(retryAfter);
    }
    expect(JSON.parse(harness.logs.findLast((line) => line.includes('gateway.no_response')) ?? '')).toMatchObject({
      is_sent: true,
    });
  });

  it('counts the time from the last byte of a streamed body', async () => {
    const received = nextResponse();
    const { sent, pending } = sendSlowly(harness.service, 'org', 2 * MIB);
    sent.write(Buffer.alloc(MIB));
    const response = await received;
    harness.clock.advance(200 * SECONDS);
    response.req.resume();
    sent.end(Buffer.alloc(MIB));
    await until(() => response.req.complete);
    harness.clock.advance(119 * SECONDS);
    response.end('in time');
    expect(await pending).toMatchObject({ status: 200, body: 'in time' });
  });

  itKeptSecrets(harness);

  async function nextResponse(): Promise<ServerResponse> {
    return new Promise((resolve) => {
      upstream.respond = (_, response) => resolve(response);
    });
  }
});

describe('the gateway, if QuickBooks cannot be reached,', () => {
  const env: Record<string, string> = {};
  beforeAll(async () => {
    env['QBO_API_BASE_URL'] = `http://127.0.0.1:${await closedPort()}`;
  });
  const harness = useHarness(createSqlite, { env });

  it('returns 503 for a POST too: it was certainly not sent', async () => {
    await harness.connect('org', '1').catch(() => undefined);
    await harness.set('org', { last_verified_at: harness.clock.now() });
    const response = await call(harness.service, 'org', 'invoice', POST);
    expect(await expectOwnError(response, 503, 'provider_unavailable')).toMatch(/^\d+$/);
  });
});
