import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createSqlite } from '../support/databases.ts';
import { call, expectOwnError, sendSlowly, useUpstream } from '../support/gateway.ts';
import { MINUTES, useHarness } from '../support/harness.ts';
import { itKeptSecrets } from '../support/secrets.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

describe('the gateway', () => {
  const harness = useHarness(createSqlite);
  beforeAll(() => harness.connect('org', '1'));

  it.each([
    ['with its length', true],
    ['in chunks', false],
  ])('forwards a body of 5 MiB byte for byte, sent %s', async (_, hasLength) => {
    const body = randomBytes(5 * MIB);
    const { sent, pending } = sendSlowly(harness.service, 'org', hasLength ? body.length : undefined);
    sent.write(body.subarray(0, MIB));
    sent.end(body.subarray(MIB));
    const bodySha256 = createHash('sha256').update(body).digest('hex');
    expect(JSON.parse((await pending).body)).toMatchObject({ bodyLength: body.length, bodySha256 });
    const { headers } = harness.simulator.callsTo('api')[0] ?? {};
    expect(headers?.['content-length']).toBe(hasLength ? String(body.length) : undefined);
  });

  it('sends a large body with a token that was refreshed first, if the current one has less than five minutes left', async () => {
    await harness.setTimeLeft('org', 4 * MINUTES);
    const body = randomBytes(2 * MIB);
    expect((await call(harness.service, 'org', 'echo', { method: 'POST', body })).status).toBe(200);
    expect(harness.refreshes()).toBe(1);
    const { token } = harness.simulator.callsTo('api')[0] ?? {};
    expect(token).toBe(harness.simulator.grantFor('1')?.accessTokens.at(-1));
  });

  it('sends a large body with the current token if Intuit’s token endpoint is down', async () => {
    await harness.setTimeLeft('org', 4 * MINUTES);
    harness.simulator.fail({ on: 'token', kind: 'status', status: 503, times: null });
    const body = randomBytes(2 * MIB);
    expect((await call(harness.service, 'org', 'echo', { method: 'POST', body })).status).toBe(200);
    await harness.endBackOffs();
  });

  it('refreshes a token that is rejected with a large body, and returns 503 with Retry-After: 1', async () => {
    await harness.setTimeLeft('org', 30 * MINUTES);
    harness.simulator.expireAccessTokens('1');
    const body = randomBytes(3 * MIB);
    const send = () => call(harness.service, 'org', 'echo', { method: 'POST', body });
    expect(await expectOwnError(await send(), 503, 'provider_unavailable')).toBe('1');
    expect([harness.simulator.callsTo('api').length, harness.refreshes()]).toEqual([1, 1]);
    expect((await send()).status).toBe(200);
  });

  it('reads no body for an organization without a connection', async () => {
    const { sent, pending } = sendSlowly(harness.service, 'unconnected', 5 * MIB);
    sent.write('the beginning');
    expect(await pending).toMatchObject({ status: 404 });
    sent.destroy();
  });

  it('returns 413 for a chunked body of more than 100 MiB, and closes the connection', async () => {
    const { sent, pending } = sendSlowly(harness.service, 'org');
    for (let size = 0; size <= 100; size += 1) {
      if (!sent.write(Buffer.alloc(MIB))) await Promise.race([once(sent, 'drain'), pending]);
    }
    expect(await pending).toMatchObject({ status: 413, connection: 'close' });
    sent.destroy();
  });

  it('returns 503 without a call if the bodies in memory would exceed their budget', async () => {
    harness.home.bodyMemory.reserve(64 * MIB);
    const response = await call(harness.service, 'org', 'echo', { method: 'POST', body: '{}' });
    harness.home.bodyMemory.release(64 * MIB);
    expect(await expectOwnError(response, 503, 'service_unavailable')).toBe('1');
    expect(harness.simulator.calls).toEqual([]);
    harness.home.bodyMemory.reserve(64 * MIB); // everything was released
    harness.home.bodyMemory.release(64 * MIB);
  });

  itKeptSecrets(harness);
});

describe('a large body', () => {
  const upstream = useUpstream();
  const harness = useHarness(createSqlite, { env: upstream.env });
  beforeAll(async () => {
    upstream.respond = (_, response) => response.end('{"CompanyInfo":{"CompanyName":"Company"}}');
    await harness.connect('org', '1');
  });

  it('is read from the caller no faster than QuickBooks reads it', async () => {
    const received = nextResponse();
    const { sent, pending } = sendSlowly(harness.service, 'org', 100 * MIB);
    pending.catch(() => undefined);
    sent.write('the beginning');
    const response = await received;
    response.req.pause();
    let written = 0;
    while (written < 100 && (sent.write(Buffer.alloc(MIB)) || (await drains(sent)))) written += 1;
    expect(written).toBeLessThan(40); // the buffers of the sockets; without back pressure all of it is accepted
    sent.destroy();
  });

  it('is aborted at QuickBooks, without a warning, if the caller leaves in its middle', async () => {
    const received = nextResponse();
    const { sent, pending } = sendSlowly(harness.service, 'org', 2 * MIB);
    pending.catch(() => undefined);
    sent.write(Buffer.alloc(MIB));
    const response = await received;
    response.req.resume();
    const before = harness.logs.length;
    sent.destroy();
    await until(() => response.destroyed);
    await until(() => harness.logs.slice(before).some((line) => line.includes('"route"')));
    expect(harness.logs.slice(before).filter((line) => JSON.parse(line).level > 30)).toEqual([]);
  });

  it('is answered by QuickBooks before its end', async () => {
    const received = nextResponse();
    const { sent, pending } = sendSlowly(harness.service, 'org', 2 * MIB);
    sent.write(Buffer.alloc(MIB));
    (await received).writeHead(400).end('too large for QuickBooks');
    expect(await pending).toMatchObject({ status: 400, body: 'too large for QuickBooks' });
    sent.destroy();
  });

  itKeptSecrets(harness);

  async function nextResponse(): Promise<ServerResponse> {
    return new Promise((resolve) => {
      upstream.respond = (_, response) => resolve(response);
    });
  }

  /** True if the stream drains within a number of iterations of the event loop, each of which moves the data of all sockets. */
  async function drains(stream: NodeJS.WritableStream): Promise<boolean> {
    let isDrained = false;
    stream.once('drain', () => {
      isDrained = true;
    });
    for (let turn = 0; turn < 1_000 && !isDrained; turn += 1) await harness.clock.nextTurn();
    return isDrained;
  }
});
