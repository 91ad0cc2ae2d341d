import { describe, expect, it } from '@jest/globals';
import { AppError } from '../../../src/errors.ts';
import { parseQuickBooksCallback } from '../../../src/strategies/quickbooks/callback.ts';

const AUTHORIZED = { state: 'the.state', code: 'the-code', realmId: '9341452000000001' };
const DECLINED = { state: 'the.state', error: 'access_denied' };

describe('parseQuickBooksCallback', () => {
  it('returns state, code and company if the user agreed', () => {
    expect(parseQuickBooksCallback(AUTHORIZED)).toEqual(AUTHORIZED);
  });

  it('returns state and error if the user declined', () => {
    expect(parseQuickBooksCallback(DECLINED)).toEqual(DECLINED);
  });

  it('ignores parameters that it does not know', () => {
    const others = { redirectUri: 'https://evil.example', organization_id: ['a', 'b'], error_description: 'x' };
    expect(parseQuickBooksCallback({ ...AUTHORIZED, ...others })).toEqual(AUTHORIZED);
  });

  it('ignores code and company if there is an error', () => {
    expect(parseQuickBooksCallback({ ...AUTHORIZED, ...DECLINED, realmId: ['x', 'y'] })).toEqual(DECLINED);
  });

  it('accepts a code of 512 characters and a company of 32 digits', () => {
    const maximal = { ...AUTHORIZED, code: 'x'.repeat(512), realmId: '9'.repeat(32) };
    expect(parseQuickBooksCallback(maximal)).toEqual(maximal);
  });

  it.each<[detail: string, query: object]>([
    ['state is required', { ...AUTHORIZED, state: undefined }],
    ['state is required', { ...AUTHORIZED, state: '' }],
    ['state must be given once', { ...AUTHORIZED, state: ['a', 'b'] }],
    ['realmId is required', { ...AUTHORIZED, realmId: undefined }],
    ['realmId is required', { ...AUTHORIZED, realmId: '' }],
    ['realmId must be given once', { ...AUTHORIZED, realmId: ['1', '1'] }],
    ['realmId must be 1 to 32 digits', { ...AUTHORIZED, realmId: '12a' }],
    ['realmId must be 1 to 32 digits', { ...AUTHORIZED, realmId: '1\n' }],
    ['realmId must be 1 to 32 digits', { ...AUTHORIZED, realmId: '٣' }],
    ['realmId must be 1 to 32 digits', { ...AUTHORIZED, realmId: '1'.repeat(33) }],
    ['code is required', { ...AUTHORIZED, code: undefined }],
    ['code must be given once', { ...AUTHORIZED, code: ['a', 'b'] }],
    ['code must be at most 512 characters', { ...AUTHORIZED, code: 'x'.repeat(513) }],
    ['error is required', { ...AUTHORIZED, error: '' }],
    ['error must be given once', { ...DECLINED, error: ['access_denied', 'access_denied'] }],
    ['state is required', { ...DECLINED, state: undefined }],
    ['state must be given once', { ...DECLINED, state: ['a', 'b'] }],
  ])('rejects a query with the detail "%s": %j', (detail, query) => {
    expect(errorOf(() => parseQuickBooksCallback(query))).toMatchObject({ code: 'invalid_request', detail });
  });

  it.each([undefined, null, '', 'state=x', 7])('rejects a query that is no object: %j', (query) => {
    expect(errorOf(() => parseQuickBooksCallback(query))).toMatchObject({ code: 'invalid_request' });
  });
});

function errorOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return error;
  }
}
