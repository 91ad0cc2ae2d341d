import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../../dev/intuit-simulator/faults.ts';
import { NO_RESPONSE, TOKENS, useIntuit } from '../../support/strategy.ts';
import { closedPort } from '../../support/tcp-relay.ts';

const intuit = useIntuit();

describe.each([
  ['exchangeCode', 'authorization_code', () => intuit.exchange(intuit.newCode())],
  ['refresh', 'refresh_token', async () => intuit.strategy().refresh((await intuit.newTokens()).refreshToken)],
] as const)('QuickBooksStrategy.%s', (_operation, grantType, run) => {
  const failureOf = (fault: Omit<Fault, 'on'>) => intuit.failureOf(run, { on: 'token', grantType, ...fault });

  it.each(NO_RESPONSE)('calls Intuit once and does not know the outcome if Intuit %s', async (_, fault) => {
    const { failure, details } = await failureOf(fault);
    expect({ failure, ...details }).toMatchObject({
      failure: 'unavailable',
      isOutcomeUnknown: true,
      reason: expect.any(String),
    });
    expect(details.status).toBeUndefined();
    expect(details.isTimeout ?? false).toBe(/slow|hang/.test(fault.kind));
  });

  it('reports the status, the transaction ID and the Retry-After of a throttled call', async () => {
    const { failure, details } = await failureOf({ kind: 'status', status: 429, retryAfter: 30 });
    expect(failure).toBe('unavailable');
    expect(details).toMatchObject({
      status: 429,
      intuitTid: intuit.simulator.calls[0]?.intuitTid,
      retryAfterSeconds: 30,
      isOutcomeUnknown: false,
    });
  });

  it.each<[failure: string, response: string, fault: Omit<Fault, 'on'>, details: object]>([
    ['unavailable', '500', { kind: 'status', status: 500 }, { status: 500, isOutcomeUnknown: true }],
    ['unavailable', '503', { kind: 'status', status: 503 }, { status: 503, isOutcomeUnknown: false }],
    ['unreadable', 'a 200 with a page', { kind: 'html' }, { status: 200, isOutcomeUnknown: true }],
    ['unreadable', 'an empty 200', { kind: 'empty' }, { status: 200, isOutcomeUnknown: true }],
    ['unreadable', 'a 200 with other JSON', { kind: 'json', body: { access_token: 1 } }, { isOutcomeUnknown: true }],
    ['unreadable', 'a 200 with null', { kind: 'json', body: 'null' }, { isOutcomeUnknown: true }],
    ['unreadable', 'a token that is no text', { kind: 'json', body: { ...TOKENS, refresh_token: 7 } }, { status: 200 }],
    ['application_rejected', 'invalid_client', { kind: 'invalid_client' }, { status: 401, reason: 'invalid_client' }],
    ['rejected', 'invalid_grant', { kind: 'invalid_grant' }, { status: 400, reason: 'invalid_grant' }],
    ['request_rejected', 'invalid_request', { kind: 'invalid_request' }, { reason: 'invalid_request' }],
    [
      'request_rejected',
      'an error that no standard defines',
      { kind: 'status', status: 400, body: { error: 'Bearer eyJhbGciOi' } },
      { status: 400, reason: undefined },
    ],
    [
      'request_rejected',
      'a redirect, which is not followed',
      { kind: 'redirect', location: '/oauth2/v1/tokens/bearer' },
      { status: 307 },
    ],
  ])('fails as %s if Intuit returns %s', async (failure, _response, fault, details) => {
    const error = await failureOf(fault);
    expect(error.failure).toBe(failure);
    expect(error.details).toMatchObject(details);
  });
});

describe('QuickBooksStrategy.exchangeCode', () => {
  it('reports that nothing was sent if the connection is refused', async () => {
    const strategy = intuit.strategy({ QBO_TOKEN_URL: `http://127.0.0.1:${await closedPort()}/token` });
    await expect(intuit.exchange('code', strategy)).rejects.toMatchObject({
      failure: 'unavailable',
      details: { reason: 'ECONNREFUSED', isOutcomeUnknown: false },
    });
  });
});
