import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { startIntuitSimulator } from '../../../dev/intuit-simulator/simulator.ts';
import { until } from '../../support/until.ts';
import { BASIC, REALM, REDIRECT_URI, useSimulator } from '../simulator-client.ts';

const client = useSimulator();

describe('startIntuitSimulator', () => {
  it('keeps its grants in a file between runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'simulator-'));
    const file = join(folder, 'data', 'intuit.json');
    await client.restart({ file });
    const first = await client.connect();
    const second = await client.refresh(first.refresh_token);
    await client.restart({ file });

    expect(existsSync(file)).toBe(true);
    expect(await client.companyStatus(second.access_token)).toBe(200);
    const third = await client.refresh(second.refresh_token);
    await client.restart({ file });
    expect(await client.isRejected(first.refresh_token)).toBe(true);
    expect(await client.isRejected(third.refresh_token)).toBe(true);
    rmSync(folder, { recursive: true });
  });

  it('rejects if the port is in use', async () => {
    const port = Number(new URL(client.simulator.origin).port);
    await expect(startIntuitSimulator({ port })).rejects.toThrow('EADDRINUSE');
  });

  it('returns the URLs at its public origin', async () => {
    await client.restart({ publicOrigin: 'http://intuit.test' });
    expect(client.simulator.urls).toEqual({
      authorizeUrl: 'http://intuit.test/connect/oauth2',
      tokenUrl: 'http://intuit.test/oauth2/v1/tokens/bearer',
      revokeUrl: 'http://intuit.test/v2/oauth2/tokens/revoke',
      apiBaseUrl: 'http://intuit.test',
    });
  });

  it('records the calls with everything that they contained', async () => {
    const code = client.newCode();
    const fields = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI };
    const response = await client.token(fields);
    await client.revoke('some-token');

    expect(client.simulator.calls).toMatchObject([
      {
        endpoint: 'token',
        method: 'POST',
        path: '/oauth2/v1/tokens/bearer',
        headers: { authorization: BASIC },
        body: fields,
        grantType: 'authorization_code',
        status: 200,
        intuitTid: response.headers.get('intuit_tid'),
        at: client.clock.now(),
      },
      { endpoint: 'revoke', body: { token: 'some-token' }, token: 'some-token', status: 400 },
    ]);
    client.simulator.resetCalls();
    expect(client.simulator.calls).toEqual([]);
  });

  it('is controlled over HTTP', async () => {
    const control = async (method: string, path: string, body?: object) =>
      fetch(`${client.simulator.origin}/simulator/${path}`, body ? { method, body: JSON.stringify(body) } : { method });
    const { access_token } = await client.connect();

    const fault = { on: 'api', kind: 'status', status: 504, times: null };
    expect((await control('POST', 'faults', fault)).status).toBe(204);
    expect(await client.companyStatus(access_token)).toBe(504);
    expect(await client.companyStatus(access_token)).toBe(504);
    expect((await control('DELETE', 'faults')).status).toBe(204);
    expect(await client.companyStatus(access_token)).toBe(200);
    expect((await control('POST', 'faults', { on: 'api' })).status).toBe(400);
    expect((await control('POST', 'faults')).status).toBe(400);

    expect(await (await control('GET', 'calls')).json()).toHaveLength(3);
    expect((await control('DELETE', 'calls')).status).toBe(204);
    expect(client.simulator.calls).toEqual([]);

    expect((await control('POST', `revoke/${REALM}`)).status).toBe(204);
    expect((await control('POST', 'revoke/unknown')).status).toBe(404);
    expect(await client.companyStatus(access_token)).toBe(401);
  });

  it('closes at once, even if calls hang, and can be closed twice', async () => {
    client.simulator.fail({ on: 'token', kind: 'hang' });
    const hanging = expect(client.postToken({})).rejects.toThrow();
    await until(() => client.simulator.calls.length > 0);
    await client.simulator.close();
    await client.simulator.close();
    await hanging;
  });
});
