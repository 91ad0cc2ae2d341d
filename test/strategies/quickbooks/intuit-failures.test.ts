import { describe, expect, it } from '@jest/globals';
import { companyError, tokenEndpointError } from '../../../src/strategies/quickbooks/intuit-failures.ts';
import type { IntuitResponse } from '../../../src/strategies/quickbooks/intuit-http.ts';

const NOW = new Date('2026-02-10T14:00:00.000Z');

describe('tokenEndpointError', () => {
  it.each<[status: number, failure: string, isOutcomeUnknown: boolean]>([
    [408, 'unavailable', false],
    [425, 'unavailable', false],
    [429, 'unavailable', false],
    [500, 'unavailable', true],
    [502, 'unavailable', true],
    [503, 'unavailable', false],
    [504, 'unavailable', true],
    [599, 'unavailable', false],
    [200, 'unreadable', true],
    [204, 'unreadable', true],
  ])('classifies status %i as %s, with an unknown outcome: %s', (status, failure, isOutcomeUnknown) => {
    const error = tokenEndpointError(responseOf({ status }), NOW);
    expect(error).toMatchObject({ failure, details: { status, isOutcomeUnknown } });
  });

  it.each<[reason: string, status: number, failure: string]>([
    ['invalid_grant', 400, 'rejected'],
    ['invalid_client', 401, 'application_rejected'],
    ['invalid_client', 400, 'application_rejected'],
    ['unauthorized_client', 400, 'application_rejected'],
    ['invalid_request', 400, 'request_rejected'],
    ['unsupported_grant_type', 400, 'request_rejected'],
    ['invalid_scope', 400, 'request_rejected'],
  ])('classifies the error %s with status %i as %s', (reason, status, failure) => {
    const error = tokenEndpointError(responseOf({ status, body: { error: reason } }), NOW);
    expect(error).toMatchObject({ failure, details: { status, reason } });
    expect(error.details.isOutcomeUnknown ?? false).toBe(false);
  });

  it.each<[response: string, Partial<IntuitResponse>]>([
    ['an unknown error', { body: { error: 'Bearer eyJcanary' } }],
    ['an error that is no text', { body: { error: { code: 'canary' } } }],
    ['no error', { body: { message: 'canary' } }],
    ['a text', { body: '<html>canary</html>' }],
    ['no body', { body: '' }],
    ['null', { body: null }],
    ['a redirect', { status: 307, headers: { location: 'https://canary.example' } }],
  ])('classifies a response with %s as request_rejected, and keeps no text of it', (_, response) => {
    const error = tokenEndpointError(responseOf({ status: 400, ...response }), NOW);
    expect(error.failure).toBe('request_rejected');
    expect(error.details.reason).toBeUndefined();
    expect(`${error.message}${JSON.stringify(error)}`).not.toContain('canary');
  });

  it.each<[retryAfter: string, seconds: number | undefined]>([
    ['30', 30],
    ['Tue, 10 Feb 2026 14:01:30 GMT', 90],
    ['Tue, 10 Feb 2026 13:00:00 GMT', undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['0', undefined],
    ['', undefined],
  ])('reads a Retry-After of "%s" as %s seconds', (retryAfter, seconds) => {
    const error = tokenEndpointError(responseOf({ status: 429, headers: { 'retry-after': retryAfter } }), NOW);
    expect(error.details.retryAfterSeconds).toBe(seconds);
  });

  it.each<[header: string | string[] | undefined, intuitTid: string | undefined]>([
    ['1-tid', '1-tid'],
    [['1-tid', '2-tid'], '1-tid'],
    ['x'.repeat(300), 'x'.repeat(100)],
    [undefined, undefined],
  ])('keeps the transaction ID of the header %j, up to the length of its column', (header, intuitTid) => {
    const error = tokenEndpointError(responseOf({ status: 400, headers: { intuit_tid: header } }), NOW);
    expect(error.details.intuitTid).toBe(intuitTid);
  });
});

describe('companyError', () => {
  it.each<[failure: string, response: string, Partial<IntuitResponse>]>([
    ['unavailable', '429', { status: 429 }],
    ['unavailable', '500', { status: 500 }],
    ['unavailable', '503', { status: 503 }],
    ['unavailable', '403 with code 3001', { status: 403, body: { Fault: { Error: [{ code: '3001' }] } } }],
    ['unavailable', '403 with code 3001 as a number', { status: 403, body: { Fault: { Error: [{ code: 3001 }] } } }],
    [
      'unavailable',
      '403 with code 3001 in lower case',
      { status: 403, body: { fault: { error: [{ code: '3001' }] } } },
    ],
    ['unavailable', '403 with one error', { status: 403, body: { Fault: { Error: { code: '3001' } } } }],
    ['rejected', '403 with code 3100', { status: 403, body: { Fault: { Error: [{ code: '3100' }] } } }],
    ['rejected', '403 with the code as text', { status: 403, body: 'code 3001' }],
    ['rejected', '403 with null', { status: 403, body: null }],
    ['rejected', '401 with code 3001', { status: 401, body: { Fault: { Error: [{ code: '3001' }] } } }],
    ['rejected', '400', { status: 400 }],
    ['rejected', '404', { status: 404 }],
    ['rejected', '302', { status: 302 }],
    ['rejected', '200 with a Fault', { status: 200, body: { Fault: { Error: [{ code: '500' }] } } }],
  ])('classifies as %s a response with %s', (failure, _, response) => {
    const error = companyError(responseOf(response), NOW);
    expect(error).toMatchObject({ failure, details: { status: response.status } });
  });

  it('keeps the numeric code of a fault, and no text of it', () => {
    const Fault = { Error: [{ code: 'canary' }, { code: '12345678' }, { code: '3100', Message: 'canary' }] };
    const error = companyError(responseOf({ status: 403, body: { Fault } }), NOW);
    expect(error.details.reason).toBe('3100');
    expect(`${error.message}${JSON.stringify(error)}`).not.toContain('canary');
  });

  it('keeps the transaction ID and the Retry-After', () => {
    const headers = { intuit_tid: '1-tid', 'retry-after': '60' };
    const { details } = companyError(responseOf({ status: 429, headers }), NOW);
    expect(details).toMatchObject({ intuitTid: '1-tid', retryAfterSeconds: 60 });
  });
});

function responseOf(parts: Partial<IntuitResponse>): IntuitResponse {
  return { status: 400, headers: {}, body: '', ...parts };
}
