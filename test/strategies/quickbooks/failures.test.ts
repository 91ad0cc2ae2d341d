import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import { ProviderError } from '../../../src/strategies/accounting-strategy.ts';
import { failureOf, TOKENS, UNANSWERED, useIntuit } from '../../support/strategy.ts';
import { closedPort } from '../../support/tcp-proxy.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');
const intuit = useIntuit(() => NOW);
const { strategy, newCode, newGrant, lastCall } = intuit;

describe.each([
  ['the exchange', 'authorization_code', () => strategy().exchangeCode(newCode())],
  ['the refresh', 'refresh_token', async () => strategy().refresh((await newGrant()).refreshToken)],
] as const)('%s', (_, grantType, run) => {
  const failure = (fault: Omit<Fault, 'on'>) => failureOf(intuit.simulator, run, { on: 'token', grantType, ...fault });

  it.each(UNANSWERED)('is tried once where Intuit %s: what became of it is unknown', async (_title, fault) => {
    const error = await failure(fault);
    expect([error.failure, error.facts.status, error.facts.outcomeUnknown]).toEqual(['unavailable', undefined, true]);
  });

  it.each<[number | string, number | undefined]>([
    [30, 30],
    ['Tue, 10 Feb 2026 14:01:30 GMT', 90],
    ['Tue, 10 Feb 2026 13:00:00 GMT', undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['0', undefined],
  ])('hands on a Retry-After of %j as %s seconds', async (retryAfter, seconds) => {
    const error = await failure({ kind: 'status', status: 429, retryAfter });
    expect(error.failure).toBe('unavailable');
    expect(error.facts).toMatchObject({ status: 429, intuitTid: lastCall()?.intuitTid });
    expect(error.facts.retryAfterSeconds).toBe(seconds);
  });

  it.each<[string, Omit<Fault, 'on'>, object]>([
    ['500', { kind: 'status', status: 500 }, { failure: 'unavailable', facts: { status: 500 } }],
    ['503', { kind: 'status', status: 503 }, { failure: 'unavailable', facts: { status: 503 } }],
    ['html', { kind: 'html' }, { failure: 'unreadable', facts: { status: 200, outcomeUnknown: true } }],
    ['nothing', { kind: 'empty' }, { failure: 'unreadable', facts: { status: 200 } }],
    ['other JSON', { kind: 'json', body: { access_token: 1 } }, { failure: 'unreadable' }],
    ['null', { kind: 'json', body: 'null' }, { failure: 'unreadable' }],
    ['a lifetime of none', { kind: 'json', body: { access_token: 'a', expires_in: 'x' } }, { failure: 'unreadable' }],
    [
      'invalid_client',
      { kind: 'invalid_client' },
      { failure: 'misconfigured', facts: { status: 401, reason: 'invalid_client' } },
    ],
    [
      'invalid_grant',
      { kind: 'invalid_grant' },
      { failure: 'refused', facts: { status: 400, reason: 'invalid_grant' } },
    ],
    [
      'invalid_request',
      { kind: 'invalid_request' },
      { failure: 'misconfigured', facts: { reason: 'invalid_request' } },
    ],
    [
      'another error',
      { kind: 'status', status: 400, body: { error: 'Bearer eyJhbGciOi' } },
      { failure: 'misconfigured' },
    ],
    [
      'a redirect',
      { kind: 'redirect', location: '/oauth2/v1/tokens/bearer' },
      { failure: 'misconfigured', facts: { status: 307 } },
    ],
  ])('is told apart where Intuit answers %s', async (_title, fault, expected) => {
    expect(await failure(fault)).toMatchObject(expected);
  });
});

describe('the exchange', () => {
  it.each(['refresh_token', 'x_refresh_token_expires_in'])('cannot do without %s', async (name) => {
    const body = { ...TOKENS, [name]: undefined };
    const error = await failureOf(intuit.simulator, () => strategy().exchangeCode('code'), {
      on: 'token',
      kind: 'json',
      body,
    });
    expect(error.failure).toBe('unreadable');
  });

  it('knows that nothing was sent where nobody listens', async () => {
    const QBO_TOKEN_URL = `http://127.0.0.1:${await closedPort()}/token`;
    const error = await strategy({ QBO_TOKEN_URL })
      .exchangeCode('code')
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ProviderError);
    expect(error).toMatchObject({ failure: 'unavailable', facts: { reason: 'ECONNREFUSED', outcomeUnknown: false } });
  });
});
