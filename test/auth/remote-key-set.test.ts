import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Callers } from '../../src/auth/caller-authenticator.ts';
import { AUDIENCE, ISSUER, type KeySet, startKeySet } from '../support/key-set.ts';
import { codeOf } from '../support/token-bench.ts';

describe('the key set', () => {
  let keySet: KeySet;
  let callers: Callers;
  let passed: number; // milliseconds that the clocks are ahead
  const identify = async (header = {}) => codeOf(callers.identify(`Bearer ${await keySet.sign({}, header)}`));
  const flood = async (header = {}) => {
    const token = await keySet.sign({}, header);
    return new Set(await Promise.all(Array.from({ length: 200 }, () => codeOf(callers.identify(`Bearer ${token}`)))));
  };

  beforeEach(async () => {
    keySet = await startKeySet();
    const organizationClaim = 'organization_id';
    const jwt = { jwksUrl: keySet.url, issuer: ISSUER, audience: AUDIENCE, organizationClaim };
    callers = new Callers({ apiKeys: [], jwt, disabled: false });
    passed = 0;
    const [wall, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)];
    jest.spyOn(Date, 'now').mockImplementation(() => wall() + passed);
    jest.spyOn(performance, 'now').mockImplementation(() => monotonic() + passed);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await keySet.close();
  });

  it('is fetched once for many callers, and once more for 200 with an unknown key', async () => {
    expect(await flood()).toEqual(new Set(['it succeeded']));
    expect(keySet.fetches).toBe(1);
    passed += 31_000;
    for (let round = 0; round < 3; round += 1)
      expect(await flood({ kid: 'made up' })).toEqual(new Set(['unauthorized']));
    expect(keySet.fetches).toBe(2);
  });

  it('is fetched at most once for a flood of unknown keys that comes before any good one', async () => {
    for (let round = 0; round < 3; round += 1) await flood({ kid: 'made up' });
    expect(keySet.fetches).toBe(1);
  });

  it('is fetched again for a key that was added, after the pause', async () => {
    await identify();
    await keySet.add('ES256', 'new');
    expect(await identify({ kid: 'new' })).toBe('unauthorized');
    passed += 31_000;
    expect([await identify({ kid: 'new' }), keySet.fetches]).toEqual(['it succeeded', 2]);
  });

  it.each([
    ['cannot be reached', 'broken'],
    ['answers HTML', { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Sorry</h1>' }],
    ['redirects', { status: 302, headers: { location: 'https://example.com/jwks.json' }, body: '' }],
    ['fails', { status: 500, body: '{"keys":[]}' }],
    ['is null', { status: 200, body: 'null' }],
    ['holds no keys', { status: 200, body: '{}' }],
    ['holds what is no key', { status: 200, body: '{"keys":[1]}' }],
  ] as [string, KeySet['answer']][])(
    'that %s is service_unavailable, with few fetches under a flood, until it is mended',
    async (_, answer) => {
      keySet.answer = answer;
      for (let round = 0; round < 3; round += 1) expect(await flood()).toEqual(new Set(['service_unavailable']));
      expect(keySet.fetches).toBe(1);
      keySet.answer = 'keys';
      passed += 6_000;
      expect([await identify(), keySet.fetches]).toEqual(['it succeeded', 2]);
    },
  );

  it.each([
    ['is gone', 'broken'],
    ['holds what is no key', { status: 200, body: '{"keys":[1]}' }],
    ['answers HTML', { status: 200, body: '<h1>Sorry</h1>' }],
  ] as [string, KeySet['answer']][])('that %s later goes on working with the keys it had', async (_, answer) => {
    await identify();
    keySet.answer = answer;
    for (let minutes = 0; minutes < 60; minutes += 15) {
      passed += 15 * 60_000;
      expect(await flood()).toEqual(new Set(['it succeeded']));
      expect(await identify({ kid: 'made up' })).toBe('unauthorized');
    }
    expect(keySet.fetches).toBeLessThanOrEqual(6);
  });

  it('is not asked about what cannot be a token of ours', async () => {
    for (const token of ['x', 'a.b.c', '..', `${encode({ alg: 'HS256' })}.e30.AA`, `${encode({ alg: 'none' })}.e30.`])
      expect(await codeOf(callers.identify(`Bearer ${token}`))).toBe('unauthorized');
    expect(keySet.fetches).toBe(0);
  });
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
