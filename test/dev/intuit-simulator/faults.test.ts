import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import { until } from '../../support/until.ts';
import { REALM, useSimulator } from '../simulator-client.ts';

const client = useSimulator();

describe('a fault of the simulator', () => {
  it.each<[Omit<Fault, 'on'>, number, unknown]>([
    [{ kind: 'status', status: 429, retryAfter: 60, body: { error: 'busy' } }, 429, '{"error":"busy"}'],
    [{ kind: 'status', body: '<p>no', contentType: 'text/html' }, 503, '<p>no'],
    [{ kind: 'html' }, 200, expect.stringContaining('<h1>')],
    [{ kind: 'empty' }, 200, ''],
    [{ kind: 'redirect', location: 'http://elsewhere/' }, 307, ''],
    [{ kind: 'invalid_client' }, 401, '{"error":"invalid_client"}'],
    [{ kind: 'invalid_grant' }, 400, '{"error":"invalid_grant"}'],
    [{ kind: 'invalid_request' }, 400, '{"error":"invalid_request"}'],
    [{ kind: 'json', body: { access_token: '' } }, 200, '{"access_token":""}'],
  ])('replaces the response of one call, which changes nothing: %j', async (fault, status, text) => {
    const { refresh_token } = await client.connect();
    client.simulator.fail({ on: 'token', ...fault });
    const response = await client.postToken({ grant_type: 'refresh_token', refresh_token });
    expect(response.status).toBe(status);
    expect(response.headers.get('intuit_tid')).toBeTruthy();
    expect(response.headers.get('retry-after')).toBe(fault.retryAfter ? '60' : null);
    expect(response.headers.get('location')).toBe(fault.location ?? null);
    expect(await response.text()).toEqual(text);
    expect(await client.isRejected(refresh_token)).toBe(false);
  });

  it.each([
    ['drop_before', false],
    ['hang', false],
    ['slow', false],
    ['drop_after', true],
    ['hang_after', true],
    ['slow_after', true],
    ['truncate', true],
  ] as const)('of kind %s loses the response; the refresh token is rotated: %s', async (kind, isRotated) => {
    const { refresh_token } = await client.connect();
    client.simulator.fail({ on: 'token', kind, delayMs: 3_600_000 });
    const abort = new AbortController();
    const response = client.postToken({ grant_type: 'refresh_token', refresh_token }, {}, abort.signal);
    const lost = expect(response.then((received) => received.text())).rejects.toThrow();
    await until(() => client.simulator.calls.length > 0);
    if (!/drop|truncate/.test(kind)) abort.abort();

    await lost;
    expect(client.simulator.grantFor(REALM)?.refreshToken !== refresh_token).toBe(isRotated);
    expect(client.simulator.callsTo('token', 'refresh_token')).toMatchObject([{ token: refresh_token, fault: kind }]);
  });

  it.each(['slow', 'slow_after'] as const)('of kind %s responds in the end', async (kind) => {
    client.simulator.fail({ on: 'token', kind, delayMs: 1 });
    expect((await client.connect()).access_token).toBeTruthy();
  });

  it.each(['slow', 'slow_after'] as const)('of kind %s can hold a call until it is released', async (kind) => {
    const release = client.simulator.hold({ on: 'token', kind });
    const tokens = client.connect();
    await until(() => client.simulator.calls.length > 0);
    expect(client.simulator.grantFor(REALM) !== undefined).toBe(kind === 'slow_after');
    release();
    expect((await tokens).access_token).toBeTruthy();
  });

  it.each<[response: string, Fault['on']]>([
    ['with an empty body', 'revoke'],
    ['that is a stream', 'api'],
  ])('truncates a response %s', async (_, on) => {
    const { access_token } = await client.connect();
    client.simulator.fail({ on, kind: 'truncate' });
    const call = on === 'api' ? client.api('bulk?bytes=1000000', access_token) : client.postRevoke(access_token);
    const response = await call;
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it('omits the refresh token, and leaves the sent one valid', async () => {
    const { refresh_token } = await client.connect();
    client.simulator.fail({ on: 'token', kind: 'omit_refresh_token' });
    const response = await client.refresh(refresh_token);
    expect(response).not.toHaveProperty('refresh_token');
    expect(await client.companyStatus(response.access_token)).toBe(200);
    expect(await client.isRejected(refresh_token)).toBe(false);
  });

  it('returns numbers as strings', async () => {
    client.simulator.fail({ on: 'token', kind: 'strings' });
    expect(await client.connect()).toMatchObject({ expires_in: '3600', x_refresh_token_expires_in: '8726400' });
  });

  it('is applied to the calls that match it, as often as it says', async () => {
    client.simulator.fail({ on: 'token', grantType: 'refresh_token', kind: 'status', times: Number.POSITIVE_INFINITY });
    client.simulator.fail({ on: 'companyinfo', kind: 'status', status: 500, times: 2 });
    const { access_token, refresh_token } = await client.connect();

    const statuses = await Promise.all([1, 2, 3].map(() => client.companyStatus(access_token)));
    expect(statuses.sort()).toEqual([200, 500, 500]);
    expect((await client.api('echo', access_token)).status).toBe(200);
    for (const _ of [1, 2, 3]) {
      expect((await client.postToken({ grant_type: 'refresh_token', refresh_token })).status).toBe(503);
    }
    client.simulator.clearFaults();
    expect(await client.isRejected(refresh_token)).toBe(false);
  });

  it('is rejected if its kind or its target is unknown', () => {
    expect(() => client.simulator.fail({ on: 'token', kind: 'typo' as 'slow' })).toThrow(TypeError);
    expect(() => client.simulator.fail({ on: 'tokens' as 'token', kind: 'slow' })).toThrow(TypeError);
  });
});
