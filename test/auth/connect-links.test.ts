import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConnectLinks } from '../../src/auth/connect-links.ts';
import { OAuthStates } from '../../src/auth/oauth-states.ts';
import { AppError } from '../../src/errors.ts';

const [NEW, OLD] = ['n'.repeat(32), 'o'.repeat(32)];
const ISSUED_AT = Date.parse('2026-02-10T14:00:00.000Z');

describe('a connect link', () => {
  let now: Date;
  const links = new ConnectLinks([NEW, OLD], () => now);

  beforeEach(() => {
    now = new Date(ISSUED_AT);
  });

  it('says for whom it is, who asked for it and how long it lasts', () => {
    const { link, expiresAt } = links.issue('acme', 'billing');
    expect(expiresAt.toISOString()).toBe('2026-02-10T14:05:00.000Z');
    const id = expect.stringMatching(/^[\w-]{22}$/);
    expect(links.verify(link)).toEqual({ id, organizationId: 'acme', actor: 'billing', expiresAt });
  });

  it('differs each time', () => {
    const ids = Array.from({ length: 100 }, () => links.verify(links.issue('acme', 'billing').link).id);
    expect(new Set(ids).size).toBe(100);
  });

  it('is good to the last millisecond of five minutes, and no longer', () => {
    const { link } = links.issue('acme', 'billing');
    now = new Date(ISSUED_AT + 299_999);
    expect(links.verify(link).organizationId).toBe('acme');
    now = new Date(ISSUED_AT + 300_000);
    expectRefusal(() => links.verify(link));
  });

  it('is refused where a bit of it was flipped, or it was cut', () => {
    const { link } = links.issue('acme', 'billing');
    for (let at = 0; at < link.length; at += 1) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const flipped = String.fromCharCode(link.charCodeAt(at) ^ bit);
        expectRefusal(() => links.verify(link.slice(0, at) + flipped + link.slice(at + 1)));
      }
      expectRefusal(() => links.verify(link.slice(0, at)));
    }
  });

  it('outlives a rotation of the secrets: the first signs, all verify', () => {
    const before = new ConnectLinks([OLD], () => now).issue('acme', 'billing');
    expect(links.verify(before.link).actor).toBe('billing');
    expectRefusal(() => new ConnectLinks([OLD], () => now).verify(links.issue('acme', 'billing').link));
  });

  it('is no state, and a state is no link', () => {
    const states = new OAuthStates([NEW], () => now);
    const { state, browserSecret } = states.issue('acme', 'quickbooks', 'billing');
    expectRefusal(() => links.verify(state));
    expect(() => states.verify(links.issue('acme', 'billing').link, browserSecret)).toThrow(/invalid_state/);
  });
});

function expectRefusal(verify: () => unknown): void {
  let thrown: unknown;
  try {
    verify();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AppError);
  expect(thrown).toMatchObject({ code: 'unauthorized' });
}
