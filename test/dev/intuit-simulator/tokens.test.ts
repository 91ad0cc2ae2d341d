import { describe, expect, it } from '@jest/globals';
import { REALM, REDIRECT_URI, useSimulator } from '../simulator-client.ts';

const client = useSimulator();
const exchange = (code = client.newCode()) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: REDIRECT_URI,
});

describe('the simulator’s token endpoint, for a code', () => {
  it('returns tokens in the form of Intuit’s', async () => {
    const response = await client.token(exchange());
    expect(response.status).toBe(200);
    expect(response.headers.get('intuit_tid')).toMatch(/^1-[0-9a-f]{8}-[0-9a-f]{24}$/);
    expect(response.headers.get('cache-control')).toContain('no-store');
    expect(response.body).toEqual({
      token_type: 'bearer',
      access_token: expect.stringMatching(/^eyJ[\w-]{700,4000}$/),
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^AB11\d{10}\w{36}$/),
      x_refresh_token_expires_in: 8_726_400,
    });
  });

  it('returns the seconds until the authorization ends, if the request asks for them', async () => {
    const { refresh_token } = await client.connect();
    client.clock.advance(1_000_000);
    const fields = { grant_type: 'refresh_token', refresh_token };
    const { body } = await client.token(fields, { 'x-include-refresh-token-hard-expires-in': 'true' });
    expect(body['x_refresh_token_hard_expires_in']).toBe(157_680_000 - 1000);
  });

  it('rejects a second exchange, which revokes the grant of the first', async () => {
    const fields = exchange();
    const first = await client.token(fields);
    expect(await client.token(fields)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await client.isRejected(String(first.body['refresh_token']))).toBe(true);
    expect(await client.companyStatus(String(first.body['access_token']))).toBe(401);
  });

  it('rejects a code that is unknown, expired or for another redirect URI', async () => {
    const fields = exchange();
    const expectRejected = async (changes: object) =>
      expect((await client.token({ ...fields, ...changes })).body).toEqual({ error: 'invalid_grant' });
    await expectRejected({ code: 'unknown' });
    await expectRejected({ redirect_uri: 'http://other' });
    client.clock.advance(10 * 60_000);
    await expectRejected({});
  });

  it.each([
    {},
    { grant_type: 'password' },
    { grant_type: 'refresh_token' },
    { grant_type: 'authorization_code', code: 'x' },
  ])('returns invalid_request for %j', async (fields) => {
    expect(await client.token(fields)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  it('returns invalid_client for another secret', async () => {
    const response = await client.token({}, { authorization: `Basic ${btoa('simulator-client-id:wrong')}` });
    expect(response).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });
});

describe('the simulator’s token endpoint, for a refresh token', () => {
  it('rotates the refresh token, and leaves older access tokens valid', async () => {
    const first = await client.connect();
    const second = await client.refresh(first.refresh_token);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await client.companyStatus(first.access_token)).toBe(200);
    expect(await client.companyStatus(second.access_token)).toBe(200);
    expect(client.simulator.grantFor(REALM)).toEqual({
      accessTokens: [first.access_token, second.access_token],
      refreshToken: second.refresh_token,
      revoked: false,
    });
  });

  it('revokes the grant if a used refresh token is sent again', async () => {
    const first = await client.connect();
    const second = await client.refresh(first.refresh_token);
    expect(await client.isRejected(first.refresh_token)).toBe(true);
    expect(await client.isRejected(second.refresh_token)).toBe(true);
    expect(await client.companyStatus(second.access_token)).toBe(401);
  });

  it('rejects only the used refresh token if reuse revokes nothing', async () => {
    client.simulator.settings.reuseRevokesFamily = false;
    const first = await client.connect();
    const second = await client.refresh(first.refresh_token);
    expect(await client.isRejected(first.refresh_token)).toBe(true);
    expect(await client.isRejected(second.refresh_token)).toBe(false);
  });

  it('returns the current refresh token for the previous one if there is a grace period', async () => {
    client.simulator.settings.rotationGrace = true;
    const first = await client.connect();
    const second = await client.refresh(first.refresh_token);
    const again = await client.refresh(first.refresh_token);
    expect(again.refresh_token).toBe(second.refresh_token);
    expect(again.access_token).not.toBe(second.access_token);
    await client.refresh(second.refresh_token);
    expect(await client.isRejected(first.refresh_token)).toBe(true);
  });

  it('rejects a refresh token after its own expiry, and after the end of the authorization', async () => {
    client.simulator.settings.hardSeconds = 150;
    client.simulator.settings.refreshTokenSeconds = 100;
    const [used, unused] = [await client.connect('1'), await client.connect('2')];
    client.clock.advance(99_000);
    const refreshed = await client.refresh(used.refresh_token);
    client.clock.advance(1_000);
    expect(await client.isRejected(unused.refresh_token)).toBe(true);
    client.clock.advance(50_000);
    expect(await client.isRejected(refreshed.refresh_token)).toBe(true);
  });
});
