import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { OAuthStates } from '../../src/auth/oauth-states.ts';
import { AppError } from '../../src/errors.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import { TestClock } from '../support/test-clock.ts';

const SECRET = 'first-secret-of-these-tests-0123456789';
const OTHER = 'other-secret-of-these-tests-0123456789';
const KEY = { organizationId: 'org_1-A' as OrganizationId, system: 'quickbooks' };
const ISSUED_AT = new Date('2026-02-10T14:00:00.000Z');
const FORGED = /not started by this service/;
const EXPIRED = /expired/;
const FOREIGN = /another browser/;

describe('OAuthStates', () => {
  const clock = new TestClock();
  const states = new OAuthStates([SECRET], clock);
  const issue = (by = states) => by.issue(KEY, 'browser');
  const verify = (state: string, browserSecret: string | undefined, by = states) =>
    by.verify(state, { system: 'quickbooks', browserSecret });
  const expectRejected = (state: string, browserSecret: string | undefined, detail: RegExp) =>
    expect(errorOf(() => verify(state, browserSecret))).toMatchObject({
      code: 'invalid_state',
      detail: expect.stringMatching(detail),
    });

  beforeEach(() => clock.setWallClock(ISSUED_AT));

  it('returns what it issued a state for', () => {
    const { state, browserSecret } = issue();
    expect(verify(state, browserSecret)).toEqual({
      id: expect.stringMatching(/^[\w-]{22}$/),
      ...KEY,
      actor: 'browser',
      expiresAt: new Date('2026-02-10T14:10:00.000Z'),
    });
  });

  it('issues base64url(JSON), a dot and base64url(HMAC), with a hash of the browser’s secret only', () => {
    const { state, browserSecret } = issue();
    expect(state).toMatch(/^[\w-]+\.[\w-]{43}$/);
    const payload = Buffer.from(state.split('.')[0] ?? '', 'base64url').toString();
    expect(payload).not.toContain(browserSecret);
    expect(payload).toContain(createHash('sha256').update(browserSecret).digest('base64url'));
  });

  it('issues a different state, ID and browser secret each time', () => {
    const issued = Array.from({ length: 100 }, () => issue());
    expect(new Set(issued.map(({ state }) => state)).size).toBe(100);
    expect(new Set(issued.map(({ browserSecret }) => browserSecret)).size).toBe(100);
    expect(new Set(issued.map(({ state, browserSecret }) => verify(state, browserSecret).id)).size).toBe(100);
  });

  it('accepts a state for ten minutes, to the millisecond', () => {
    const { state, browserSecret } = issue();
    clock.advance(599_999);
    expect(verify(state, browserSecret).organizationId).toBe('org_1-A');
    clock.advance(1);
    expectRejected(state, browserSecret, EXPIRED);
  });

  it('rejects a state without its browser’s secret, or with another browser’s', () => {
    const { state } = issue();
    for (const secret of [undefined, '', issue().browserSecret]) expectRejected(state, secret, FOREIGN);
  });

  it.each(['ledgerly', 'QuickBooks', ''])('rejects a state that is for another accounting system than %j', (system) => {
    const { state, browserSecret } = issue();
    const error = errorOf(() => states.verify(state, { system, browserSecret }));
    expect(error).toMatchObject({ code: 'invalid_state', detail: expect.stringMatching(FORGED) });
  });

  it('rejects a state of which a character was changed, removed or added', () => {
    const { state, browserSecret } = issue();
    for (let at = 0; at < state.length; at += 1) {
      const other = state[at] === 'A' ? 'B' : 'A';
      expectRejected(state.slice(0, at) + other + state.slice(at + 1), browserSecret, FORGED);
      expectRejected(state.slice(0, at), browserSecret, FORGED);
    }
    for (const other of [`${state}A`, `${state}=`, `${state}.`, `${state}.x`, ` ${state}`, `.${state}`]) {
      expectRejected(other, browserSecret, FORGED);
    }
  });

  it.each(['', '.', '..', 'x', 'x.y', 'null', '{}.', 'é.é', '\0', '.'.repeat(5000)])('rejects %j', (state) => {
    expectRejected(state, 'secret', FORGED);
  });

  it('rejects a signature of another length, encoding or purpose', () => {
    const { state, browserSecret } = issue();
    const [text = ''] = state.split('.');
    const hmac = createHmac('sha256', SECRET).update(text).digest();
    for (const signature of [hmac.toString('hex'), hmac.toString('base64'), hmac.toString('base64url'), '']) {
      expectRejected(`${text}.${signature}`, browserSecret, FORGED);
    }
  });

  it('rejects a state that another secret signed', () => {
    const { state, browserSecret } = issue(new OAuthStates([OTHER], clock));
    expectRejected(state, browserSecret, FORGED);
  });

  it('signs with the first secret and verifies with any secret', () => {
    const before = issue();
    const rotated = new OAuthStates([OTHER, SECRET], clock);
    const after = issue(rotated);
    expect(verify(before.state, before.browserSecret, rotated).organizationId).toBe('org_1-A');
    expect(verify(after.state, after.browserSecret, new OAuthStates([OTHER], clock)).organizationId).toBe('org_1-A');
    expectRejected(after.state, after.browserSecret, FORGED);
  });

  it('checks the signature, then the expiry, then the browser', () => {
    const { state } = issue();
    clock.advance(600_000);
    expectRejected(`${state}x`, undefined, FORGED);
    expectRejected(state, undefined, EXPIRED);
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
