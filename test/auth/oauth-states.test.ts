import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { OAuthStates } from '../../src/auth/oauth-states.ts';
import { AppError } from '../../src/errors.ts';

const SECRET = 'first-secret-of-these-tests-0123456789';
const OTHER = 'other-secret-of-these-tests-0123456789';
const ISSUED_AT = Date.parse('2026-02-10T14:00:00.000Z');
const FORGED = /not started here/;
const EXPIRED = /expired/;
const FOREIGN = /another browser/;

describe('OAuth state', () => {
  let now: Date;
  let states: OAuthStates;

  beforeEach(() => {
    now = new Date(ISSUED_AT);
    states = new OAuthStates([SECRET], () => now);
  });

  it('comes back as it was issued', () => {
    const { state, browserSecret } = states.issue('org_1-A', 'quickbooks', 'browser');
    expect(states.verify(state, browserSecret)).toEqual({
      id: expect.stringMatching(/^[\w-]{22}$/),
      organizationId: 'org_1-A',
      system: 'quickbooks',
      actor: 'browser',
      expiresAt: new Date('2026-02-10T14:10:00.000Z'),
    });
  });

  it('is base64url(JSON), a dot and base64url(HMAC), and holds the browser’s secret as a hash alone', () => {
    const { state, browserSecret } = states.issue('org', 'quickbooks', 'browser');
    expect(state).toMatch(/^[\w-]+\.[\w-]{43}$/);
    const payload = Buffer.from(state.split('.')[0] ?? '', 'base64url').toString();
    expect(payload).not.toContain(browserSecret);
    expect(payload).toContain(createHash('sha256').update(browserSecret).digest('base64url'));
  });

  it('differs each time, in state, id and browser secret', () => {
    const issued = Array.from({ length: 100 }, () => states.issue('org', 'quickbooks', 'browser'));
    expect(new Set(issued.map(({ state }) => state)).size).toBe(100);
    expect(new Set(issued.map(({ browserSecret }) => browserSecret)).size).toBe(100);
    expect(new Set(issued.map(({ state, browserSecret }) => states.verify(state, browserSecret).id)).size).toBe(100);
  });

  it('is good to the last millisecond of ten minutes, and no longer', () => {
    const { state, browserSecret } = states.issue('org', 'quickbooks', 'browser');
    now = new Date(ISSUED_AT + 599_999);
    expect(states.verify(state, browserSecret).organizationId).toBe('org');
    now = new Date(ISSUED_AT + 600_000);
    expectRefusal(() => states.verify(state, browserSecret), EXPIRED);
  });

  it('is refused without its browser’s secret or with another one', () => {
    const { state } = states.issue('org', 'quickbooks', 'browser');
    const { browserSecret } = states.issue('org', 'quickbooks', 'browser');
    for (const secret of [undefined, '', browserSecret]) expectRefusal(() => states.verify(state, secret), FOREIGN);
  });

  it('is refused where a letter was changed, cut or added', () => {
    const { state, browserSecret } = states.issue('org', 'quickbooks', 'browser');
    for (let at = 0; at < state.length; at += 1) {
      const letter = state[at] === 'A' ? 'B' : 'A';
      expectRefusal(() => states.verify(state.slice(0, at) + letter + state.slice(at + 1), browserSecret), FORGED);
      expectRefusal(() => states.verify(state.slice(0, at), browserSecret), FORGED);
    }
    for (const other of [`${state}A`, `${state}=`, `${state}.`, `${state}.x`, ` ${state}`, `.${state}`])
      expectRefusal(() => states.verify(other, browserSecret), FORGED);
  });

  it.each(['', '.', '..', 'x', 'x.y', 'null', '{}.', 'é.é', '\0', '.'.repeat(5000)])('is refused: %j', (state) => {
    expectRefusal(() => states.verify(state, 'secret'), FORGED);
  });

  it('is refused with a signature of another length or another encoding', () => {
    const { state, browserSecret } = states.issue('org', 'quickbooks', 'browser');
    const [text = ''] = state.split('.');
    const hmac = createHmac('sha256', SECRET).update(text).digest();
    for (const signature of [hmac.toString('hex'), hmac.toString('base64'), hmac.toString('base64url'), ''])
      expectRefusal(() => states.verify(`${text}.${signature}`, browserSecret), FORGED);
  });

  it('is refused where another secret signed it', () => {
    const { state, browserSecret } = new OAuthStates([OTHER], () => now).issue('org', 'quickbooks', 'browser');
    expectRefusal(() => states.verify(state, browserSecret), FORGED);
  });

  it('outlives a rotation: the first secret signs, all verify', () => {
    const before = states.issue('org', 'quickbooks', 'browser');
    const rotated = new OAuthStates([OTHER, SECRET], () => now);
    const after = rotated.issue('org', 'quickbooks', 'browser');
    expect(rotated.verify(before.state, before.browserSecret).organizationId).toBe('org');
    expect(new OAuthStates([OTHER], () => now).verify(after.state, after.browserSecret).organizationId).toBe('org');
    expectRefusal(() => states.verify(after.state, after.browserSecret), FORGED);
  });

  it('is judged by signature, then expiry, then browser', () => {
    const { state } = states.issue('org', 'quickbooks', 'browser');
    now = new Date(ISSUED_AT + 600_000);
    expectRefusal(() => states.verify(`${state}x`, undefined), FORGED);
    expectRefusal(() => states.verify(state, undefined), EXPIRED);
  });
});

function expectRefusal(work: () => unknown, detail: RegExp): void {
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AppError);
  expect(thrown).toMatchObject({ code: 'invalid_state', detail: expect.stringMatching(detail) });
}
