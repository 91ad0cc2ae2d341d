import { describe, expect, it } from '@jest/globals';
import type { PlainToken } from '../../../src/models/connection.ts';
import { REDIRECT_URI } from '../../support/environment.ts';
import { BASIC, COMPANY, NOW, TOKENS, useIntuit } from '../../support/strategy.ts';

const intuit = useIntuit();
const DAY_SECONDS = 86_400;

describe('QuickBooksStrategy.authorizationUrl', () => {
  it('contains the parameters of the contract and no others', () => {
    const url = new URL(intuit.strategy().authorizationUrl('the.state'));
    expect(url.origin + url.pathname).toBe(intuit.simulator.urls.authorizeUrl);
    expect([...url.searchParams].sort()).toEqual([
      ['client_id', 'simulator-client-id'],
      ['redirect_uri', REDIRECT_URI],
      ['response_type', 'code'],
      ['scope', 'com.intuit.quickbooks.accounting'],
      ['state', 'the.state'],
    ]);
  });

  it('leads to Intuit unless another endpoint is configured', () => {
    const url = intuit.strategy({ QBO_AUTHORIZE_URL: '' }).authorizationUrl('x');
    expect(url).toMatch(/^https:\/\/appcenter\.intuit\.com\/connect\/oauth2\?/);
  });
});

describe('QuickBooksStrategy.exchangeCode', () => {
  it('sends one request, in the form that Intuit documents', async () => {
    const code = intuit.newCode();
    await intuit.exchange(code);
    expect(intuit.simulator.calls).toMatchObject([
      {
        endpoint: 'token',
        method: 'POST',
        path: '/oauth2/v1/tokens/bearer',
        headers: {
          authorization: BASIC,
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
          'x-include-refresh-token-hard-expires-in': 'true',
        },
      },
    ]);
    expect(intuit.simulator.calls[0]?.body).toEqual({
      grant_type: 'authorization_code',
      code,
      redirect_uri: REDIRECT_URI,
    });
  });

  it.each([
    ['numbers', undefined],
    ['strings', { on: 'token', kind: 'strings' }],
  ] as const)('returns the tokens with the lifetimes of the response, which contains %s', async (_, fault) => {
    if (fault) intuit.simulator.fail(fault);
    expect(await intuit.exchange(intuit.newCode())).toEqual({
      realmId: COMPANY,
      tokens: {
        accessToken: intuit.simulator.grantFor(COMPANY)?.accessTokens.at(-1),
        accessTokenExpiresAt: secondsFromNow(3600),
        refreshToken: intuit.simulator.grantFor(COMPANY)?.refreshToken,
        refreshTokenExpiresAt: secondsFromNow(8_726_400),
        isRefreshExpiryAssumed: false,
        authorizationExpiresAt: secondsFromNow(157_680_000),
        intuitTid: intuit.simulator.calls[0]?.intuitTid,
      },
    });
  });

  it('counts lifetimes from the moment before the call', async () => {
    const exchange = intuit.exchange(intuit.newCode());
    intuit.clock.advance(2_000);
    expect((await exchange).tokens.accessTokenExpiresAt).toEqual(secondsFromNow(3600));
  });

  it('keeps concurrent exchanges of one strategy apart', async () => {
    const strategy = intuit.strategy();
    const realms = Array.from({ length: 20 }, (_, index) => String(1000 + index));
    const grants = await Promise.all(realms.map((realmId) => intuit.exchange(intuit.newCode(realmId), strategy)));
    expect(grants.map(({ tokens }) => tokens.refreshToken)).toEqual(
      realms.map((realmId) => intuit.simulator.grantFor(realmId)?.refreshToken),
    );
  });

  it.each(['+&=% ?redirectUri=https://evil', 'x&code=y', 'a#b', 'é😀'])('sends the code %j unchanged', async (code) => {
    respondWith(TOKENS);
    await intuit.exchange(code);
    expect(intuit.simulator.calls[0]?.body).toMatchObject({ code, redirect_uri: REDIRECT_URI });
  });

  it('fails as unreadable if the response contains no refresh token', async () => {
    const error = await intuit.failureOf(() => intuit.exchange('code'), {
      on: 'token',
      kind: 'json',
      body: { ...TOKENS, refresh_token: undefined },
    });
    expect(error).toMatchObject({ failure: 'unreadable', details: { status: 200 } });
  });

  it('fails as unreadable without a company, which only the callback names', async () => {
    const exchange = intuit.strategy().exchangeCode({ state: 'state', code: intuit.newCode() });
    await expect(exchange).rejects.toMatchObject({ failure: 'unreadable' });
  });
});

describe('QuickBooksStrategy.refresh', () => {
  it('sends the refresh token and returns the one that replaces it', async () => {
    const { refreshToken } = await intuit.newTokens();
    const refreshed = await intuit.strategy().refresh(refreshToken);
    expect(intuit.simulator.calls).toMatchObject([
      { endpoint: 'token', headers: { authorization: BASIC, 'x-include-refresh-token-hard-expires-in': 'true' } },
    ]);
    expect(intuit.simulator.calls[0]?.body).toEqual({ grant_type: 'refresh_token', refresh_token: refreshToken });
    expect(refreshed.refreshToken).toBe(intuit.simulator.grantFor(COMPANY)?.refreshToken);
    expect(refreshed.refreshToken).not.toBe(refreshToken);
  });

  it('returns no refresh token if the response contains none', async () => {
    const { refreshToken } = await intuit.newTokens();
    intuit.simulator.fail({ on: 'token', kind: 'omit_refresh_token' });
    const refreshed = await intuit.strategy().refresh(refreshToken);
    expect(refreshed.refreshToken).toBeUndefined();
    expect(refreshed.accessToken).toBe(intuit.simulator.grantFor(COMPANY)?.accessTokens.at(-1));
  });
});

describe.each([
  ['exchangeCode', async () => (await intuit.exchange('code')).tokens],
  ['refresh', async () => intuit.strategy().refresh('refresh-token' as PlainToken)],
])('QuickBooksStrategy.%s', (_operation, run) => {
  it.each([
    ['missing', undefined],
    ['0', 0],
    ['null', null],
    ['negative', -1],
    ['no number', 'soon'],
    ['longer than ten years', 10 * 365 * DAY_SECONDS + 1],
  ])('assumes 100 days for a refresh token whose lifetime is %s', async (_, lifetime) => {
    respondWith({ ...TOKENS, x_refresh_token_expires_in: lifetime });
    expect(await run()).toMatchObject({
      refreshTokenExpiresAt: secondsFromNow(100 * DAY_SECONDS),
      isRefreshExpiryAssumed: true,
    });
  });

  it.each([
    ['missing', undefined],
    ['0', 0],
    ['null', null],
    ['negative', -1],
    ['no number', 'soon'],
  ])('assumes an hour for an access token whose lifetime is %s', async (_, lifetime) => {
    respondWith({ ...TOKENS, expires_in: lifetime });
    expect(await run()).toMatchObject({
      accessTokenExpiresAt: secondsFromNow(3600),
      isRefreshExpiryAssumed: false,
    });
  });

  it.each([
    ['missing', undefined],
    ['0, which the SDK documents as unknown', 0],
    ['null', null],
  ])('does not know when the authorization ends if the five-year limit is %s', async (_, limit) => {
    respondWith({ ...TOKENS, x_refresh_token_hard_expires_in: limit });
    expect((await run()).authorizationExpiresAt).toBeUndefined();
  });

  it('returns an authorization that ends before the refresh token does', async () => {
    respondWith({ ...TOKENS, x_refresh_token_expires_in: 5000, x_refresh_token_hard_expires_in: 1000 });
    expect(await run()).toMatchObject({
      refreshTokenExpiresAt: secondsFromNow(5000),
      authorizationExpiresAt: secondsFromNow(1000),
    });
  });

  it('ignores fields that it does not know', async () => {
    respondWith({ ...TOKENS, id_token: 7, scope: null });
    expect(await run()).toMatchObject({ accessToken: 'canary-access-token', refreshToken: 'canary-refresh-token' });
  });
});

function respondWith(body: object): void {
  intuit.simulator.fail({ on: 'token', kind: 'json', body });
}

function secondsFromNow(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}
