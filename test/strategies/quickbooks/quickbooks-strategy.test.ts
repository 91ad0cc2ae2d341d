import { describe, expect, it } from '@jest/globals';
import { REDIRECT_URI } from '../../support/environment.ts';
import { BASIC, COMPANY, TOKENS, useIntuit } from '../../support/strategy.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const intuit = useIntuit(() => NOW);
const { strategy, newCode, newGrant, lastCall } = intuit;

describe('the authorization URL', () => {
  it('holds what the contract says and nothing else', () => {
    const url = new URL(strategy().authorizationUrl('the.state'));
    expect(url.origin + url.pathname).toBe(intuit.simulator.urls.authorizeUrl);
    expect([...url.searchParams].sort()).toEqual([
      ['client_id', 'simulator-client-id'],
      ['redirect_uri', REDIRECT_URI],
      ['response_type', 'code'],
      ['scope', 'com.intuit.quickbooks.accounting'],
      ['state', 'the.state'],
    ]);
  });

  it('leads to Intuit unless told otherwise', () => {
    const url = strategy({ QBO_AUTHORIZE_URL: '' }).authorizationUrl('x');
    expect(url).toMatch(/^https:\/\/appcenter\.intuit\.com\/connect\/oauth2\?/);
  });
});

describe('the exchange of a code', () => {
  it('is one request, as Intuit wants it', async () => {
    const code = newCode();
    await strategy().exchangeCode(code);
    const [call, ...others] = intuit.simulator.calls;
    expect(others).toEqual([]);
    expect(call).toMatchObject({ endpoint: 'token', method: 'POST', path: '/oauth2/v1/tokens/bearer' });
    expect(call?.body).toEqual({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI });
    expect(call?.headers).toMatchObject({
      authorization: BASIC,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      'x-include-refresh-token-hard-expires-in': 'true',
    });
  });

  it.each(['omitted', 'strings'] as const)('takes the lifetimes from the answer (%s)', async (kind) => {
    if (kind === 'strings') intuit.simulator.fail({ on: 'token', kind });
    const grant = await strategy().exchangeCode(newCode());
    expect(grant).toEqual({
      accessToken: intuit.simulator.grantFor(COMPANY)?.accessTokens.at(-1),
      refreshToken: intuit.simulator.grantFor(COMPANY)?.refreshToken,
      accessTokenExpiresAt: new Date(NOW.getTime() + 3600_000),
      refreshTokenExpiresAt: new Date(NOW.getTime() + 8_726_400_000),
      refreshTokenHardExpiresAt: new Date(NOW.getTime() + 157_680_000_000),
      intuitTid: intuit.simulator.calls[0]?.intuitTid,
    });
  });

  it.each([
    ['sooner', 1000, 1000, 1000],
    ['absent', undefined, 5000, undefined],
    ['0, as the SDK says unknown', 0, 5000, undefined],
  ])('minds a five-year end that is %s', async (_, hard, expected, expectedHard) => {
    const body = { ...TOKENS, x_refresh_token_expires_in: 5000, x_refresh_token_hard_expires_in: hard };
    intuit.simulator.fail({ on: 'token', kind: 'json', body });
    expect(await strategy().exchangeCode('code')).toMatchObject({
      refreshTokenExpiresAt: new Date(NOW.getTime() + expected * 1000),
      refreshTokenHardExpiresAt: expectedHard && new Date(NOW.getTime() + expectedHard * 1000),
    });
  });

  it('keeps two at once apart', async () => {
    const shared = strategy();
    const realms = Array.from({ length: 20 }, (_, index) => String(1000 + index));
    const grants = await Promise.all(realms.map((realmId) => shared.exchangeCode(newCode(realmId))));
    for (const [index, realmId] of realms.entries())
      expect(grants[index]?.refreshToken).toBe(intuit.simulator.grantFor(realmId)?.refreshToken);
  });

  it.each([
    ['+&=% ?redirectUri=https://evil', 'a code that looks like a query'],
    ['x&code=y', 'a code that looks like two'],
  ])('sends %s as it is: %s', async (code) => {
    intuit.simulator.fail({ on: 'token', kind: 'json', body: TOKENS });
    await strategy().exchangeCode(code);
    expect(intuit.simulator.calls[0]?.body).toMatchObject({ code, redirect_uri: REDIRECT_URI });
  });
});

describe('the refresh', () => {
  it('answers what came back, and no refresh token where none did', async () => {
    const { refreshToken } = await newGrant();
    const renewed = await strategy().refresh(refreshToken);
    expect(lastCall()?.body).toEqual({ grant_type: 'refresh_token', refresh_token: refreshToken });
    expect(lastCall()?.headers).toMatchObject({
      authorization: BASIC,
      'x-include-refresh-token-hard-expires-in': 'true',
    });
    expect(renewed.refreshToken).toBe(intuit.simulator.grantFor(COMPANY)?.refreshToken);

    intuit.simulator.fail({ on: 'token', kind: 'omit_refresh_token' });
    const { refreshToken: none, accessToken } = await strategy().refresh(String(renewed.refreshToken));
    expect([none, accessToken]).toEqual([undefined, intuit.simulator.grantFor(COMPANY)?.accessTokens.at(-1)]);
  });
});
