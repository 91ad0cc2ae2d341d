import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import { BASIC, COMPANY, failureOf, UNANSWERED, useIntuit } from '../../support/strategy.ts';

const intuit = useIntuit();
const { strategy, newGrant } = intuit;

describe('the revocation', () => {
  const run = async () => strategy().revoke((await newGrant()).refreshToken);

  it('sends the refresh token alone, once, as JSON', async () => {
    const { refreshToken } = await newGrant();
    await strategy().revoke(refreshToken);
    expect(intuit.simulator.calls).toMatchObject([
      { endpoint: 'revoke', method: 'POST', body: { token: refreshToken }, headers: { authorization: BASIC } },
    ]);
    expect(intuit.simulator.calls[0]?.headers['content-type']).toMatch(/^application\/json/);
    expect(intuit.simulator.grantFor(COMPANY)?.revoked).toBe(true);
  });

  it('is content where the grant is already gone', async () => {
    const { refreshToken } = await newGrant();
    await strategy().revoke(refreshToken);
    await strategy().revoke(refreshToken);
    expect(intuit.simulator.calls.map(({ status }) => status)).toEqual([200, 400]);
  });

  it('is content with an empty 400', async () => {
    intuit.simulator.fail({ on: 'revoke', kind: 'status', status: 400 });
    await expect(run()).resolves.toBeUndefined();
  });

  it.each(UNANSWERED)('is tried once where Intuit %s', async (_, fault) => {
    expect(await failureOf(intuit.simulator, run, { on: 'revoke', ...fault })).toMatchObject({
      failure: 'unavailable',
    });
  });

  it.each<[string, Omit<Fault, 'on'>, string]>([
    ['500', { kind: 'status', status: 500 }, 'unavailable'],
    ['429', { kind: 'status', status: 429, retryAfter: 7 }, 'unavailable'],
    ['invalid_client', { kind: 'invalid_client' }, 'misconfigured'],
    ['a redirect', { kind: 'redirect', location: '/v2/oauth2/tokens/revoke' }, 'misconfigured'],
  ])('fails where Intuit answers %s', async (_, fault, failure) => {
    expect(await failureOf(intuit.simulator, run, { on: 'revoke', ...fault })).toMatchObject({ failure });
  });
});

describe('the company’s name', () => {
  const read = async () => strategy().companyName(COMPANY, (await newGrant()).accessToken);

  it('is read with the access token, as JSON', async () => {
    const { accessToken } = await newGrant();
    expect(await strategy().companyName(COMPANY, accessToken)).toBe('Sandbox Company_US_1');
    expect(intuit.simulator.calls).toMatchObject([
      {
        method: 'GET',
        url: `/v3/company/${COMPANY}/companyinfo/${COMPANY}?minorversion=75`,
        headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
      },
    ]);
  });

  it.each([
    ['holds a Fault', { kind: 'json', body: { Fault: { type: 'SystemFault' } } }],
    ['is empty', { kind: 'empty' }],
    ['is a page', { kind: 'html' }],
    ['names the company nothing', { kind: 'json', body: { CompanyInfo: { CompanyName: '' } } }],
  ] as const)('is absent where a 200 %s', async (_, fault) => {
    intuit.simulator.fail({ on: 'companyinfo', ...fault });
    expect(await read()).toBeUndefined();
  });

  it('is cut to what its column holds', async () => {
    intuit.simulator.fail({ on: 'companyinfo', kind: 'json', body: { CompanyInfo: { CompanyName: 'ü'.repeat(300) } } });
    expect(await read()).toBe('ü'.repeat(255));
  });

  it('is refused where the token is not for the company: 401 in XML', async () => {
    const { accessToken } = await newGrant('9341452000000002');
    const error = await strategy()
      .companyName(COMPANY, accessToken)
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ failure: 'refused', facts: { status: 401 } });
  });

  it.each<[string, Omit<Fault, 'on'>, string]>([
    ['401 in JSON', { kind: 'status', status: 401, body: { fault: { error: 'Token expired: eyJ' } } }, 'refused'],
    ['401 without a body', { kind: 'status', status: 401 }, 'refused'],
    ['403', { kind: 'status', status: 403, body: { fault: { code: '3100' } } }, 'refused'],
    ['404', { kind: 'status', status: 404 }, 'misconfigured'],
    ['429', { kind: 'status', status: 429, retryAfter: 60 }, 'unavailable'],
    ['500', { kind: 'status', status: 500 }, 'unavailable'],
    ['a redirect', { kind: 'redirect', location: '/elsewhere' }, 'misconfigured'],
  ])('is not read where Intuit answers %s', async (_, fault, failure) => {
    expect(await failureOf(intuit.simulator, read, { on: 'companyinfo', ...fault })).toMatchObject({ failure });
  });

  it.each(UNANSWERED)('is asked for once where Intuit %s', async (_, fault) => {
    const error = await failureOf(intuit.simulator, read, { on: 'companyinfo', ...fault });
    expect(error).toMatchObject({ failure: 'unavailable' });
  });
});
