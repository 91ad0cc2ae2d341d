import { describe, expect, it } from '@jest/globals';
import { ERRORS } from '../../../src/errors.ts';

const file: string = new URL('../../../dev/frontend/messages.js', import.meta.url).href;
const { outcomeMessage, statusMessage, eventMessage } = await import(file);

/** RFC 6749 §4.1.2.1. */
const AUTHORIZATION_ERRORS = [
  'invalid_request',
  'unauthorized_client',
  'access_denied',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
];

describe('the messages of the frontend that stands in for the real one', () => {
  it.each([...Object.keys(ERRORS), ...AUTHORIZATION_ERRORS])(
    'explain %s to a user in a sentence without codes',
    (error) => {
      const { tone, text } = outcomeMessage(new URLSearchParams({ connected: 'false', error }));
      expect(tone).toBe('bad');
      expect(text).toMatch(/^[A-Z].*\.$/);
      expect(text).not.toMatch(/_|realmId|state is|organization_id/);
    },
  );

  it('give the reference of an unexpected error, for support', () => {
    const outcome = { connected: 'false', error: 'internal_error', request_id: 'request-0001' };
    expect(outcomeMessage(new URLSearchParams(outcome)).text).toMatch(/contact support\. Reference: request-0001$/);
  });

  it('say nothing to a user who does not return from QuickBooks', () => {
    expect(outcomeMessage(new URLSearchParams())).toBeUndefined();
  });

  it('name the company, or speak of it if its name is unknown', () => {
    const active = { connected: true, realm_id: '9341452000000001', company_name: null };
    expect(statusMessage(active).title).toBe('Connected to your company');
    expect(statusMessage({ ...active, company_name: "Amy's" }).title).toBe("Connected to Amy's");
    expect(eventMessage({ type: 'connected', actor: 'browser' }, "Amy's").who).toBe("in a browser · Amy's");
  });
});
