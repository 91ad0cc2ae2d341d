import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CryptoKey, exportSPKI, importJWK, type JWTPayload } from 'jose';
import { Callers } from '../../src/auth/caller-authenticator.ts';
import type { Config } from '../../src/config/config.ts';
import { KEYS } from '../support/credentials.ts';
import { AUDIENCE, ISSUER, type KeySet, secondsFromNow, startKeySet } from '../support/key-set.ts';
import { codeOf } from '../support/token-bench.ts';

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

function callersOf(settings: Partial<Config['callers']>): Callers {
  return new Callers({ apiKeys: [], jwt: undefined, disabled: false, ...settings });
}

describe('an API key', () => {
  const apiKeys = Object.entries(KEYS).map(([name, key]) => ({ name, key }));
  const callers = callersOf({ apiKeys });

  it.each(Object.entries(KEYS))('of several tells its name and acts for every organization: %s', async (name, key) => {
    const caller = { actor: name, account: `key:${name}`, organizationId: undefined };
    expect(await callers.identify(`Bearer ${key}`)).toEqual(caller);
    expect(await callers.identify(`bearer ${key}`)).toEqual(caller); // RFC 9110 §11.1: schemes have no case
  });

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['a scheme alone', 'Bearer'],
    ['an empty key', 'Bearer '],
    ['a wrong key', `Bearer ${'x'.repeat(40)}`],
    ['its beginning', `Bearer ${KEYS.billing.slice(0, -1)}`],
    ['a longer one', `Bearer ${KEYS.billing}x`],
    ['its name before it', `Bearer billing:${KEYS.billing}`],
    ['another case', `Bearer ${KEYS.billing.toUpperCase()}`],
    ['two keys', `Bearer ${KEYS.billing},${KEYS.reports}`],
    ['two words', `Bearer ${KEYS.billing} ${KEYS.billing}`],
    ['no scheme', KEYS.billing],
    ['another scheme', `Token ${KEYS.billing}`],
    ['Basic', `Basic ${Buffer.from(`billing:${KEYS.billing}`).toString('base64')}`],
    ['a control character', `Bearer ${KEYS.billing}\u0000`],
  ])('is not: %s', async (_, authorization) => {
    expect(await codeOf(callers.identify(authorization))).toBe('unauthorized');
  });
});

describe('a JWT', () => {
  let keySet: KeySet;
  let callers: Callers;
  const jwt = (more: object = {}) => ({
    ...{ jwksUrl: keySet.url, issuer: ISSUER, audience: AUDIENCE, organizationClaim: 'organization_id' },
    ...more,
  });

  beforeAll(async () => {
    keySet = await startKeySet(ALGORITHMS);
    callers = callersOf({ jwt: jwt() });
  });
  afterAll(() => keySet.close());

  it.each(ALGORITHMS)('signed with %s tells its subject and its one organization', async (kid) => {
    const caller = await callers.identify(`Bearer ${await keySet.sign({}, { kid })}`);
    expect(caller).toEqual({ actor: 'user-7', account: 'jwt:user-7', organizationId: 'acme' });
  });

  it.each([
    ['ended 25 s ago, within the tolerance', () => ({ exp: secondsFromNow(-25) })],
    ['begins in 25 s, within the tolerance', () => ({ nbf: secondsFromNow(25) })],
    ['names several audiences, ours among them', () => ({ aud: ['other', AUDIENCE] })],
  ])('is good that %s', async (_, claims) => {
    expect(await callers.identify(`Bearer ${await keySet.sign(claims())}`)).toMatchObject({ actor: 'user-7' });
  });

  it.each([
    ['ended 35 s ago', () => ({ exp: secondsFromNow(-35) })],
    ['begins in 35 s', () => ({ nbf: secondsFromNow(35) })],
    ['never ends', () => ({ exp: undefined })],
    ['names no issuer', () => ({ iss: undefined })],
    ['names no audience', () => ({ aud: undefined })],
    ['is of another issuer', () => ({ iss: 'https://login.octup.example' })],
    ['is for another audience', () => ({ aud: 'accounting' })],
    ['has a subject that is no text', () => ({ sub: 7 as unknown as string })],
  ])('is refused that %s', async (_, claims) => {
    const token = await keySet.sign(claims() as JWTPayload);
    expect(await codeOf(callers.identify(`Bearer ${token}`))).toBe('unauthorized');
  });

  it.each([undefined, '', null, 7, true, ['acme'], { id: 'acme' }])(
    'whose organization claim is %j belongs to no organization',
    async (organization_id) => {
      const { organizationId } = await callers.identify(`Bearer ${await keySet.sign({ organization_id })}`);
      expect(organizationId).toBe('');
    },
  );

  it('tells its organization in the claim that is configured, and in no other', async () => {
    const others = callersOf({ jwt: jwt({ organizationClaim: 'https://octup.example/tenant' }) });
    const token = await keySet.sign({ 'https://octup.example/tenant': 'globex' });
    expect(await others.identify(`Bearer ${token}`)).toMatchObject({ organizationId: 'globex' });
    expect(await others.identify(`Bearer ${await keySet.sign()}`)).toMatchObject({ organizationId: '' });
  });

  it('is refused without a signature, whatever its header says of it', async () => {
    const [, payload] = (await keySet.sign()).split('.');
    for (const alg of ['none', 'None', 'NONE', '', 'RS256'])
      for (const signature of ['', 'AA'])
        expect(await codeOf(callers.identify(`Bearer ${encode({ alg })}.${payload}.${signature}`))).toBe(
          'unauthorized',
        );
  });

  it('is refused that a published key signed as a shared secret', async () => {
    const [, payload] = (await keySet.sign()).split('.');
    const { jwk } = keySet.keys['RS256'] as { jwk: Record<string, unknown> };
    const pem = await exportSPKI((await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey);
    for (const secret of [pem, pem.trim(), JSON.stringify(jwk), String(jwk['n'])]) {
      const signed = `${encode({ alg: 'HS256', kid: 'RS256' })}.${payload}`;
      const signature = createHmac('sha256', secret).update(signed).digest('base64url');
      expect(await codeOf(callers.identify(`Bearer ${signed}.${signature}`))).toBe('unauthorized');
    }
  });

  it('is refused where one letter of it was changed, or it was cut', async () => {
    const token = await keySet.sign({}, { kid: 'ES256' });
    for (let at = 0; at < token.length; at += 7) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(await codeOf(callers.identify(`Bearer ${changed}`))).toBe('unauthorized');
      expect(await codeOf(callers.identify(`Bearer ${token.slice(0, at)}`))).toBe('unauthorized');
    }
  });

  it('is refused that brings its own key, or the address of one', async () => {
    await keySet.add('ES256', 'stranger', false);
    const jwk = keySet.keys['stranger']?.jwk ?? {};
    for (const header of [{ jwk }, { jku: keySet.url }, { x5u: keySet.url }, { kid: '../../stranger' }])
      expect(await codeOf(callers.identify(`Bearer ${await keySet.sign({}, { kid: 'stranger', ...header })}`))).toBe(
        'unauthorized',
      );
  });

  it('is not taken where no key set is configured', async () => {
    const keysAlone = callersOf({ apiKeys: [{ name: 'billing', key: KEYS.billing }] });
    expect(await codeOf(keysAlone.identify(`Bearer ${await keySet.sign()}`))).toBe('unauthorized');
  });
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
