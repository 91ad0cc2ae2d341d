import { beforeEach, describe, expect, it } from '@jest/globals';
import { ConnectLinks } from '../../src/auth/connect-links.ts';
import { OAuthStates } from '../../src/auth/oauth-states.ts';
import { AppError } from '../../src/errors.ts';
import type { OrganizationId, RealmId } from '../../src/models/connection.ts';
import { TestClock } from '../support/test-clock.ts';

const [NEW, OLD] = ['n'.repeat(32), 'o'.repeat(32)];
const KEY = { organizationId: 'acme' as OrganizationId, system: 'quickbooks' };
const ISSUED_AT = new Date('2026-02-10T14:00:00.000Z');

describe('ConnectLinks', () => {
  const clock = new TestClock();
  const links = new ConnectLinks([NEW, OLD], clock);
  const issue = (by = links) => by.issue(KEY, 'billing', { lifetimeMs: 300_000 });

  beforeEach(() => clock.setWallClock(ISSUED_AT));

  it('returns what it issued a link for', () => {
    const { link, expiresAt } = issue();
    expect(expiresAt.toISOString()).toBe('2026-02-10T14:05:00.000Z');
    const id = expect.stringMatching(/^[\w-]{22}$/);
    expect(links.verify(link, 'quickbooks')).toEqual({ id, ...KEY, actor: 'billing', expiresAt });
  });

  it('carries the return page and the pinned company, and is read after its expiry too', () => {
    const options = { lifetimeMs: 60_000, returnUrl: 'https://app.example/x', pinnedRealmId: '7' as RealmId };
    const { link, expiresAt } = links.issue(KEY, 'billing', options);
    expect(expiresAt.toISOString()).toBe('2026-02-10T14:01:00.000Z');
    clock.advance(60_000);
    expectRejected(() => links.verify(link, 'quickbooks'));
    expect(links.read(link, 'quickbooks')).toMatchObject({ returnUrl: 'https://app.example/x', pinnedRealmId: '7' });
    for (const other of [`${link}x`, undefined, ['a', 'b']]) expect(links.read(other, 'quickbooks')).toBeUndefined();
    expect(links.read(link, 'ledgerly')).toBeUndefined();
  });

  it('issues a different link each time', () => {
    const ids = Array.from({ length: 100 }, () => links.verify(issue().link, 'quickbooks').id);
    expect(new Set(ids).size).toBe(100);
  });

  it('accepts a link for five minutes, to the millisecond', () => {
    const { link } = issue();
    clock.advance(299_999);
    expect(links.verify(link, 'quickbooks').organizationId).toBe('acme');
    clock.advance(1);
    expectRejected(() => links.verify(link, 'quickbooks'));
  });

  it.each(['ledgerly', 'QuickBooks', ''])('rejects a link that is for another accounting system than %j', (system) => {
    expectRejected(() => links.verify(issue().link, system));
  });

  it('rejects a link in which a bit was flipped, or that was cut off', () => {
    const { link } = issue();
    for (let at = 0; at < link.length; at += 1) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const flipped = String.fromCharCode(link.charCodeAt(at) ^ bit);
        expectRejected(() => links.verify(link.slice(0, at) + flipped + link.slice(at + 1), 'quickbooks'));
      }
      expectRejected(() => links.verify(link.slice(0, at), 'quickbooks'));
    }
  });

  it('signs with the first secret and verifies with any secret', () => {
    const withOldSecret = new ConnectLinks([OLD], clock);
    expect(links.verify(issue(withOldSecret).link, 'quickbooks').actor).toBe('billing');
    expectRejected(() => withOldSecret.verify(issue().link, 'quickbooks'));
  });

  it('rejects a state as a link, and a link as a state', () => {
    const states = new OAuthStates([NEW], clock);
    const { state, browserSecret } = states.issue(KEY, 'billing');
    expectRejected(() => links.verify(state, 'quickbooks'));
    const expected = { system: 'quickbooks', browserSecret };
    expectRejected(() => states.verify(issue().link, expected), 'invalid_state');
  });
});

function expectRejected(verify: () => unknown, code = 'unauthorized'): void {
  let thrown: unknown;
  try {
    verify();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AppError);
  expect(thrown).toMatchObject({ code });
}
