import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CryptoKey, exportSPKI, importJWK, type JWTPayload } from 'jose';
import { CallerAuthenticator } from '../../src/auth/caller-authenticator.ts';
import type { Config } from '../../src/config/config.ts';
import { KEYS } from '../support/credentials.ts';
import { DIRECT } from '../support/egress.ts';
import { codeOf } from '../support/harness.ts';
import { AUDIENCE, ISSUER, type KeySet, secondsFromNow, startKeySet } from '../support/key-set.ts';
import { TestClock } from '../support/test-clock.ts';

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const API_KEYS = Object.entries(KEYS).map(([name, key]) => ({ name, key }));

function authenticatorOf(settings: Partial<Config['callers']>): CallerAuthenticator {
  return new CallerAuthenticator(
    { apiKeys: [], jwt: undefined, jwtNamesScopes: false, disabled: false, ...settings },
    DIRECT,
    new TestClock(),
  );
}

describe('CallerAuthenticator', () => {
  const jwt = {
    jwksUrl: 'http://127.0.0.1/',
    issuers: [ISSUER],
    audiences: [AUDIENCE],
    audienceClaim: 'aud',
    organizationClaim: 'organization_id',
  };

  it.each([
    ['nothing is configured', {}, true],
    ['API keys are configured', { apiKeys: API_KEYS }, false],
    ['a key set is configured', { jwt }, false],
  ])('requires credentials unless nothing is configured: %s', (_, settings, isOpen) => {
    expect(authenticatorOf(settings).isOpen).toBe(isOpen);
  });
});

describe('CallerAuthenticator with API keys', () => {
  const authenticator = authenticatorOf({ apiKeys: API_KEYS });

  it.each(Object.entries(KEYS))('identifies the caller by each key, for every organization: %s', async (name, key) => {
    const caller = { actor: name, account: `key:${name}`, organizations: { kind: 'all' } };
    expect(await authenticator.authenticate(`Bearer ${key}`)).toEqual(caller);
    expect(await authenticator.authenticate(`bearer ${key}`)).toEqual(caller); // RFC 9110 §11.1: no case in schemes
  });

  it.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['a scheme only', 'Bearer'],
    ['an empty key', 'Bearer '],
    ['a wrong key', `Bearer ${'x'.repeat(40)}`],
    ['a key without its end', `Bearer ${KEYS.billing.slice(0, -1)}`],
    ['a longer key', `Bearer ${KEYS.billing}x`],
    ['a key after its name', `Bearer billing:${KEYS.billing}`],
    ['a key in capitals', `Bearer ${KEYS.billing.toUpperCase()}`],
    ['two keys with a comma', `Bearer ${KEYS.billing},${KEYS.reports}`],
    ['two keys with a space', `Bearer ${KEYS.billing} ${KEYS.billing}`],
    ['no scheme', KEYS.billing],
    ['another scheme', `Token ${KEYS.billing}`],
    ['Basic', `Basic ${Buffer.from(`billing:${KEYS.billing}`).toString('base64')}`],
    ['a control character', `Bearer ${KEYS.billing}\u0000`],
  ])('rejects %s', async (_, authorization) => {
    expect(await codeOf(authenticator.authenticate(authorization))).toBe('unauthorized');
  });
});

describe('CallerAuthenticator with JWTs', () => {
  let keySet: KeySet;
  let authenticator: CallerAuthenticator;
  const jwt = (changes: object = {}) => ({
    ...{
      jwksUrl: keySet.url,
      issuers: [ISSUER],
      audiences: [AUDIENCE],
      audienceClaim: 'aud',
      organizationClaim: 'organization_id',
    },
    ...changes,
  });
  const authenticate = (token: string, by = authenticator) => by.authenticate(`Bearer ${token}`);
  const expectRejected = async (token: string) => expect(await codeOf(authenticate(token))).toBe('unauthorized');

  beforeAll(async () => {
    keySet = await startKeySet(ALGORITHMS);
    authenticator = authenticatorOf({ jwt: jwt() });
  });
  afterAll(() => keySet.close());

  it.each(ALGORITHMS)('identifies the user and the organization of a JWT signed with %s', async (kid) => {
    const caller = await authenticate(await keySet.sign({}, { kid }));
    const organizations = { kind: 'only', ids: ['acme'], claim: 'organization_id' };
    expect(caller).toEqual({ actor: 'user-7', account: 'jwt:user-7', organizations });
  });

  it.each([
    ['expired 25 s ago, within the tolerance', () => ({ exp: secondsFromNow(-25) })],
    ['begins in 25 s, within the tolerance', () => ({ nbf: secondsFromNow(25) })],
    ['names several audiences, this service among them', () => ({ aud: ['other', AUDIENCE] })],
  ])('accepts a JWT that %s', async (_, claims) => {
    expect(await authenticate(await keySet.sign(claims()))).toMatchObject({ actor: 'user-7' });
  });

  it.each([
    ['expired 35 s ago', () => ({ exp: secondsFromNow(-35) })],
    ['begins in 35 s', () => ({ nbf: secondsFromNow(35) })],
    ['never expires', () => ({ exp: undefined })],
    ['names no issuer', () => ({ iss: undefined })],
    ['names no audience', () => ({ aud: undefined })],
    ['is from another issuer', () => ({ iss: 'https://login.octup.example' })],
    ['is for another audience', () => ({ aud: 'accounting' })],
    ['has no subject', () => ({ sub: undefined })],
    ['has an empty subject', () => ({ sub: '' })],
    ['has a subject that is no text', () => ({ sub: 7 as unknown as string })],
  ])('rejects a JWT that %s', async (_, claims) => {
    await expectRejected(await keySet.sign(claims() as JWTPayload));
  });

  it.each([undefined, '', null, 7, true, [7], { id: 'acme' }])(
    'lets a user whose organization claim is %j act for no organization',
    async (organization_id) => {
      const { organizations } = await authenticate(await keySet.sign({ organization_id }));
      expect(organizations).toEqual({ kind: 'only', ids: [], claim: 'organization_id' });
    },
  );

  it('reads the organization from the configured claim and from no other', async () => {
    const other = authenticatorOf({ jwt: jwt({ organizationClaim: 'https://octup.example/tenant' }) });
    const token = await keySet.sign({ 'https://octup.example/tenant': 'globex' });
    expect(await authenticate(token, other)).toMatchObject({ organizations: { kind: 'only', ids: ['globex'] } });
    expect(await authenticate(await keySet.sign(), other)).toMatchObject({ organizations: { kind: 'only', ids: [] } });
  });

  it('limits the actor to the length of its column, and counts the whole subject', async () => {
    const sub = 'x'.repeat(300);
    const caller = await authenticate(await keySet.sign({ sub }));
    expect(caller).toMatchObject({ actor: 'x'.repeat(255), account: `jwt:${sub}` });
  });

  it.each(['JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt'])('accepts a JWT of the type %s', async (typ) => {
    expect(await authenticate(await keySet.sign({}, { typ }))).toMatchObject({ actor: 'user-7' });
  });

  it.each(['', 'id+jwt', 'logout+jwt', 'dpop+jwt', 'JWT ', 'JOSE', 'at+jwtx', 7, null, ['JWT'], { typ: 'JWT' }])(
    'rejects a JWT of the type %j',
    async (typ) => {
      await expectRejected(await keySet.sign({}, { typ } as object));
    },
  );

  it.each<[string, object, object, string]>([
    ['has expired', { exp: secondsFromNow(-90) }, {}, 'ERR_JWT_EXPIRED exp'],
    ['is for another audience', { aud: 'canary-aud' }, {}, 'ERR_JWT_CLAIM_VALIDATION_FAILED aud'],
    ['is from another issuer', { iss: 'canary-iss' }, {}, 'ERR_JWT_CLAIM_VALIDATION_FAILED iss'],
    ['has no subject', { sub: undefined }, {}, 'ERR_JWT_CLAIM_VALIDATION_FAILED sub'],
    ['has an empty subject', { sub: '' }, {}, 'ERR_JWT_CLAIM_VALIDATION_FAILED sub'],
    ['has another type', {}, { typ: 'canary-typ' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED typ'],
    ['has an unknown key', {}, { kid: 'canary-kid' }, 'ERR_JWKS_NO_MATCHING_KEY'],
  ])('states in the error, for the log alone, why it rejects a JWT that %s', async (_, claims, header, reason) => {
    const error = await authenticate(await keySet.sign(claims as JWTPayload, header)).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'unauthorized', reason });
    expect(`${error.detail}${error.stack}${JSON.stringify(error)}`).not.toContain('canary');
  });

  it('rejects a JWT without a signature, whatever its header claims', async () => {
    const [, payload] = (await keySet.sign()).split('.');
    for (const alg of ['none', 'None', 'NONE', '', 'RS256']) {
      for (const signature of ['', 'AA']) await expectRejected(`${encode({ alg })}.${payload}.${signature}`);
    }
  });

  it('rejects a JWT that was signed with a published key as a shared secret', async () => {
    const [, payload] = (await keySet.sign()).split('.');
    const { jwk } = keySet.keys['RS256'] as { jwk: Record<string, unknown> };
    const pem = await exportSPKI((await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey);
    for (const secret of [pem, pem.trim(), JSON.stringify(jwk), String(jwk['n'])]) {
      const signed = `${encode({ alg: 'HS256', kid: 'RS256' })}.${payload}`;
      const signature = createHmac('sha256', secret).update(signed).digest('base64url');
      await expectRejected(`${signed}.${signature}`);
    }
  });

  it('rejects a JWT of which a character was changed, or that was cut off', async () => {
    const token = await keySet.sign({}, { kid: 'ES256' });
    for (let at = 0; at < token.length; at += 7) {
      await expectRejected(`${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`);
      await expectRejected(token.slice(0, at));
    }
  });

  it('rejects a JWT that brings its own key, or the address of one', async () => {
    await keySet.add('ES256', 'stranger', false);
    const jwk = keySet.keys['stranger']?.jwk ?? {};
    for (const header of [{ jwk }, { jku: keySet.url }, { x5u: keySet.url }, { kid: '../../stranger' }]) {
      await expectRejected(await keySet.sign({}, { kid: 'stranger', ...header }));
    }
  });

  it('rejects every JWT if no key set is configured', async () => {
    const keysOnly = authenticatorOf({ apiKeys: API_KEYS });
    expect(await codeOf(authenticate(await keySet.sign(), keysOnly))).toBe('unauthorized');
  });

  it('accepts API keys beside JWTs, without fetching the key set', async () => {
    const both = authenticatorOf({ apiKeys: API_KEYS, jwt: jwt() });
    const { fetches } = keySet;
    expect(await authenticate(KEYS.billing, both)).toMatchObject({ actor: 'billing' });
    expect(keySet.fetches).toBe(fetches);
    expect(await authenticate(await keySet.sign(), both)).toMatchObject({ actor: 'user-7' });
  });
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
