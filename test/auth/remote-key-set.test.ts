import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { generateKeyPair } from 'jose';
import { CallerAuthenticator } from '../../src/auth/caller-authenticator.ts';
import { DIRECT } from '../support/egress.ts';
import { codeOf, HOURS, MINUTES, SECONDS } from '../support/harness.ts';
import { AUDIENCE, ISSUER, type KeySet, startKeySet } from '../support/key-set.ts';
import { TestClock } from '../support/test-clock.ts';

const PAGE = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Sorry</h1>' };
const NO_KEY = { status: 200, body: '{"keys":[1]}' };

describe('the remote key set', () => {
  let clock: TestClock;
  let keySet: KeySet;
  let authenticator: CallerAuthenticator;
  const authenticate = async (header = {}) =>
    codeOf(authenticator.authenticate(`Bearer ${await keySet.sign({}, header)}`));
  /** The different outcomes of 200 concurrent calls with one JWT. */
  const authenticateMany = async (header = {}) => {
    const authorization = `Bearer ${await keySet.sign({}, header)}`;
    const outcomes = Array.from({ length: 200 }, () => codeOf(authenticator.authenticate(authorization)));
    return [...new Set(await Promise.all(outcomes))];
  };

  beforeEach(async () => {
    keySet = await startKeySet();
    clock = new TestClock();
    clock.freeze();
    // jose, which caches the keys, has no other clock than this one
    jest.spyOn(Date, 'now').mockImplementation(() => clock.now().getTime());
    const jwt = {
      ...{ jwksUrl: keySet.url, issuers: [ISSUER], audiences: [AUDIENCE] },
      ...{ audienceClaim: 'aud', organizationClaim: 'organization_id' },
    };
    const callers = { apiKeys: [], jwt, jwtNamesScopes: false, disabled: false };
    authenticator = new CallerAuthenticator(callers, DIRECT, clock);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await keySet.close();
  });

  it('is fetched once for many callers, and once more for many with an unknown key', async () => {
    expect(await authenticateMany()).toEqual(['it succeeded']);
    expect(keySet.fetches).toBe(1);
    clock.advance(31 * SECONDS);
    for (let round = 0; round < 3; round += 1) {
      expect(await authenticateMany({ kid: 'made up' })).toEqual(['unauthorized']);
    }
    expect(keySet.fetches).toBe(2);
  });

  it('is fetched no more than once in five seconds, however many unknown keys are named', async () => {
    await authenticate();
    for (let second = 1; second <= 30; second += 1) {
      clock.advance(1 * SECONDS);
      expect(await authenticateMany({ kid: `made up ${second}` })).toEqual(['unauthorized']);
    }
    expect(keySet.fetches).toBeGreaterThan(2);
    expect(keySet.fetches).toBeLessThanOrEqual(1 + 30 / 5);
  });

  it('is fetched no more than once for many unknown keys that precede any known one', async () => {
    for (let round = 0; round < 3; round += 1) await authenticateMany({ kid: 'made up' });
    expect(keySet.fetches).toBe(1);
  });

  it('is fetched again for a key that was added, after a pause of seconds', async () => {
    await authenticate();
    await keySet.add('ES256', 'new');
    expect(await authenticate({ kid: 'new' })).toBe('unauthorized');
    clock.advance(6 * SECONDS);
    expect([await authenticate({ kid: 'new' }), keySet.fetches]).toEqual(['it succeeded', 2]);
  });

  it('is fetched again for a key that replaced another one under the same ID, and not for every forged token', async () => {
    await authenticate();
    await keySet.replace('ES256', await generateKeyPair('ES256', { extractable: true }));
    clock.advance(6 * SECONDS);
    expect([await authenticate(), keySet.fetches]).toEqual(['it succeeded', 2]);
    await keySet.replace('ES256', await generateKeyPair('ES256', { extractable: true }), false);
    clock.advance(6 * SECONDS);
    for (let round = 0; round < 3; round += 1) expect(await authenticateMany()).toEqual(['unauthorized']);
    expect(keySet.fetches).toBe(3);
  });

  it('may have no key IDs, whether the tokens have them or not: every key is tried', async () => {
    await keySet.add('ES256', 'second');
    keySet.removeIds();
    expect([await authenticate({ kid: 'second' }), await authenticate({ kid: 'ES256' })]).toEqual(
      Array(2).fill('it succeeded'),
    );
    const unnamed = await keySet.sign({}, { kid: 'second' }, false);
    expect(await codeOf(authenticator.authenticate(`Bearer ${unnamed}`))).toBe('it succeeded');
    expect(keySet.fetches).toBe(1);
  });

  it.each<[string, KeySet['response']]>([
    ['cannot be reached', 'broken'],
    ['is a page', PAGE],
    ['redirects', { status: 302, headers: { location: 'https://example.com/jwks.json' }, body: '' }],
    ['fails', { status: 500, body: '{"keys":[]}' }],
    ['is null', { status: 200, body: 'null' }],
    ['contains no keys', { status: 200, body: '{}' }],
    ['contains something that is no key', NO_KEY],
  ])('that %s makes calls fail as service_unavailable, with few fetches, until it is repaired', async (_, response) => {
    keySet.response = response;
    for (let round = 0; round < 3; round += 1) expect(await authenticateMany()).toEqual(['service_unavailable']);
    expect(keySet.fetches).toBe(1);
    keySet.response = 'keys';
    clock.advance(6 * SECONDS);
    expect([await authenticate(), keySet.fetches]).toEqual(['it succeeded', 2]);
  });

  it.each<[string, KeySet['response']]>([
    ['cannot be reached', 'broken'],
    ['contains something that is no key', NO_KEY],
    ['is a page', PAGE],
  ])('that %s after it was fetched once leaves its keys valid', async (_, response) => {
    await authenticate();
    keySet.response = response;
    for (let passed = 0; passed < 60; passed += 15) {
      clock.advance(15 * MINUTES);
      expect(await authenticateMany()).toEqual(['it succeeded']);
      expect(await authenticate({ kid: 'made up' })).toBe('unauthorized');
    }
    expect(keySet.fetches).toBeLessThanOrEqual(6);
  });

  it('that cannot be fetched for a day is no longer trusted, until it is fetched again', async () => {
    await authenticate();
    keySet.response = 'broken';
    clock.advance(24 * HOURS - 5 * MINUTES);
    expect(await authenticate()).toBe('it succeeded');
    clock.advance(5 * MINUTES - 5 * SECONDS);
    expect(await authenticate()).toBe('it succeeded');
    clock.advance(10 * SECONDS);
    expect(await authenticateMany()).toEqual(['service_unavailable']);
    expect(await authenticate({ kid: 'made up' })).not.toBe('it succeeded');
    keySet.response = 'keys';
    clock.advance(11 * MINUTES);
    expect(await authenticate()).toBe('it succeeded');
  });

  it('that was not needed for a day is fetched again, and trusted', async () => {
    await authenticate();
    clock.advance(30 * HOURS);
    expect([await authenticate(), keySet.fetches]).toEqual(['it succeeded', 2]);
  });

  it('is not fetched for a token that cannot be valid', async () => {
    for (const token of ['x', 'a.b.c', '..', `${encode({ alg: 'HS256' })}.e30.AA`, `${encode({ alg: 'none' })}.e30.`]) {
      expect(await codeOf(authenticator.authenticate(`Bearer ${token}`))).toBe('unauthorized');
    }
    expect(keySet.fetches).toBe(0);
  });
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
