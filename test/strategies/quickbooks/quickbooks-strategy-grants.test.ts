import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import { BASIC, COMPANY, NO_RESPONSE, OTHER_COMPANY, useIntuit } from '../../support/strategy.ts';

const intuit = useIntuit();

describe('QuickBooksStrategy.revoke', () => {
  const revoke = async () => intuit.strategy().revoke((await intuit.newTokens()).refreshToken);

  it('sends the refresh token alone, as JSON, in one request', async () => {
    const { refreshToken } = await intuit.newTokens();
    await intuit.strategy().revoke(refreshToken);
    expect(intuit.simulator.calls).toMatchObject([
      {
        endpoint: 'revoke',
        method: 'POST',
        headers: { authorization: BASIC, 'content-type': expect.stringMatching(/^application\/json/) },
      },
    ]);
    expect(intuit.simulator.calls[0]?.body).toEqual({ token: refreshToken });
    expect(intuit.simulator.grantFor(COMPANY)?.revoked).toBe(true);
  });

  it('succeeds for a grant that is already revoked', async () => {
    const { refreshToken } = await intuit.newTokens();
    await intuit.strategy().revoke(refreshToken);
    await intuit.strategy().revoke(refreshToken);
    expect(intuit.simulator.calls.map(({ status }) => status)).toEqual([200, 400]);
  });

  it('succeeds if Intuit returns an empty 400', async () => {
    intuit.simulator.fail({ on: 'revoke', kind: 'status', status: 400 });
    await expect(revoke()).resolves.toBeUndefined();
  });

  it.each(NO_RESPONSE)('calls Intuit once and fails as unavailable if Intuit %s', async (_, fault) => {
    expect(await intuit.failureOf(revoke, { on: 'revoke', ...fault })).toMatchObject({ failure: 'unavailable' });
  });

  it.each<[failure: string, response: string, Omit<Fault, 'on'>]>([
    ['unavailable', '500', { kind: 'status', status: 500 }],
    ['unavailable', '429', { kind: 'status', status: 429, retryAfter: 7 }],
    ['application_rejected', '401 invalid_client', { kind: 'invalid_client' }],
    [
      'application_rejected',
      '400 invalid_client',
      { kind: 'status', status: 400, body: { error: 'invalid_client' }, contentType: 'application/json' },
    ],
    [
      'application_rejected',
      '400 unauthorized_client',
      { kind: 'status', status: 400, body: { error: 'unauthorized_client' }, contentType: 'application/json' },
    ],
    ['request_rejected', 'a redirect', { kind: 'redirect', location: '/v2/oauth2/tokens/revoke' }],
  ])('fails as %s if Intuit returns %s', async (failure, _, fault) => {
    expect(await intuit.failureOf(revoke, { on: 'revoke', ...fault })).toMatchObject({ failure });
  });
});

describe('QuickBooksStrategy.readCompany', () => {
  const readCompany = async () => intuit.strategy().readCompany(COMPANY, (await intuit.newTokens()).accessToken);

  it('reads the name with the access token, in one request', async () => {
    const { accessToken } = await intuit.newTokens();
    const company = await intuit.strategy().readCompany(COMPANY, accessToken);
    expect(company).toEqual({ name: 'Sandbox Company_US_1' });
    expect(intuit.simulator.calls).toMatchObject([
      {
        method: 'GET',
        url: `/v3/company/${COMPANY}/companyinfo/${COMPANY}?minorversion=75`,
        headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
      },
    ]);
  });

  it.each([
    ['empty', { CompanyName: '' }],
    ['missing', {}],
    ['null', { CompanyName: null }],
  ])('returns a company without a name if its name is %s', async (_, CompanyInfo) => {
    respondWith({ CompanyInfo });
    expect(await readCompany()).toEqual({ name: undefined });
  });

  it.each([
    ['letters', 'ü'.repeat(300), 'ü'.repeat(255)],
    ['emojis, none of which is split', 'a'.repeat(254) + '😀'.repeat(2), `${'a'.repeat(254)}😀`],
    ['255 characters, which fit', '漢'.repeat(255), '漢'.repeat(255)],
  ])('cuts a name to the 255 characters that its column holds: %s', async (_, CompanyName, name) => {
    respondWith({ CompanyInfo: { CompanyName } });
    expect(await readCompany()).toEqual({ name });
  });

  it.each(NO_RESPONSE)('calls Intuit once and fails as unavailable if Intuit %s', async (_, fault) => {
    const error = await intuit.failureOf(readCompany, { on: 'companyinfo', ...fault });
    expect(error).toMatchObject({ failure: 'unavailable' });
  });

  it('fails as rejected if the token is for another company', async () => {
    const { accessToken } = await intuit.newTokens(OTHER_COMPANY);
    const company = intuit.strategy().readCompany(COMPANY, accessToken);
    await expect(company).rejects.toMatchObject({ failure: 'rejected', details: { status: 401 } });
  });

  it.each<[failure: string, response: string, Omit<Fault, 'on'>]>([
    ['unavailable', '429', { kind: 'status', status: 429, retryAfter: 60 }],
    ['unavailable', '403 with the code of a throttled request', forbidden('3001')],
    ['unavailable', '500', { kind: 'status', status: 500 }],
    ['unavailable', '503 with a page', { kind: 'status', status: 503, body: '<html>', contentType: 'text/html' }],
    ['rejected', '401 in JSON', { kind: 'status', status: 401, body: { fault: { error: 'Token expired: eyJ' } } }],
    ['rejected', '401 without a body', { kind: 'status', status: 401 }],
    ['rejected', '403 with the code of a wrong environment', forbidden('3100')],
    ['rejected', '403 without a code', { kind: 'status', status: 403 }],
    ['rejected', '400', { kind: 'status', status: 400 }],
    ['rejected', '404', { kind: 'status', status: 404 }],
    ['rejected', 'a redirect', { kind: 'redirect', location: '/elsewhere' }],
    ['rejected', 'a 200 with a Fault', { kind: 'json', body: { Fault: { type: 'SystemFault' } } }],
    ['rejected', 'an empty 200', { kind: 'empty' }],
    ['rejected', 'a 200 with a page', { kind: 'html' }],
    ['rejected', 'a 201 with a company', { kind: 'status', status: 201, body: { CompanyInfo: {} } }],
  ])('fails as %s if Intuit returns %s', async (failure, _, fault) => {
    expect(await intuit.failureOf(readCompany, { on: 'companyinfo', ...fault })).toMatchObject({ failure });
  });

  function respondWith(body: object): void {
    intuit.simulator.fail({ on: 'companyinfo', kind: 'json', body });
  }

  function forbidden(code: string): Omit<Fault, 'on'> {
    return { kind: 'status', status: 403, body: { Fault: { Error: [{ code, Message: 'canary' }] } } };
  }
});
