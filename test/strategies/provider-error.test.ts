import { describe, expect, it } from '@jest/globals';
import { isProviderError, ProviderError } from '../../src/strategies/provider-error.ts';

describe('ProviderError', () => {
  it.each([
    [{ status: 400, reason: 'invalid_grant' }, 'provider rejected: 400 invalid_grant'],
    [{ status: 400 }, 'provider rejected: 400'],
    [{ reason: 'ECONNRESET' }, 'provider rejected: ECONNRESET'],
    [{}, 'provider rejected: no response'],
  ])('describes %j as "%s"', (details, message) => {
    expect(new ProviderError('rejected', details).message).toBe(message);
  });

  it('returns the fields of its log line', () => {
    const details = { status: 429, reason: undefined, intuitTid: '1-tid', retryAfterSeconds: 30, isTimeout: true };
    expect(new ProviderError('unavailable', details).toLog()).toEqual({
      failure: 'unavailable',
      status: 429,
      reason: undefined,
      intuit_tid: '1-tid',
      retry_after_s: 30,
    });
  });
});

describe('isProviderError', () => {
  const error = new ProviderError('unavailable');

  it('recognizes every failure, or only those that are named', () => {
    expect(isProviderError(error)).toBe(true);
    expect(isProviderError(error, 'rejected', 'unavailable')).toBe(true);
    expect(isProviderError(error, 'rejected')).toBe(false);
  });

  it.each([new Error('unavailable'), { failure: 'unavailable' }, undefined])(
    'is false for anything else: %s',
    (other) => {
      expect(isProviderError(other)).toBe(false);
    },
  );
});
