import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JWTPayload } from 'jose';
import { CallerAuthenticator } from '../../src/auth/caller-authenticator.ts';
import { loadConfig } from '../../src/config/config.ts';
import { DIRECT } from '../support/egress.ts';
import { codeOf } from '../support/harness.ts';
import { type KeySet, startKeySet } from '../support/key-set.ts';
import { TestClock } from '../support/test-clock.ts';
import { PRODUCTION } from '../support/variables.ts';

interface Provider {
  name: string;
  /** The variables that fit the provider's tokens. */
  variables: Record<string, string>;
  /** What an access token of its documentation contains, besides its times. */
  claims: JWTPayload;
  header?: object;
}

const TENANT = '8f1c2f6e-0b7e-4a53-9d0a-3c5f7a1e2b4d';

const PROVIDERS: Provider[] = [
  {
    name: 'Auth0',
    variables: {
      AUTH_ISSUER: 'https://octup.eu.auth0.com/',
      AUTH_AUDIENCE: 'https://accounting.octup.com',
      AUTH_ORGANIZATION_CLAIM: 'https://octup.com/organization_id',
    },
    claims: {
      iss: 'https://octup.eu.auth0.com/',
      sub: 'auth0|64b7',
      aud: ['https://accounting.octup.com', 'https://octup.eu.auth0.com/userinfo'],
      azp: 'frontend',
      scope: 'openid profile',
      org_id: 'org_1',
      'https://octup.com/organization_id': 'acme',
    },
    header: { typ: 'at+jwt' },
  },
  {
    name: 'Keycloak',
    variables: {
      AUTH_ISSUER: 'https://id.octup.com/realms/octup',
      AUTH_AUDIENCE: 'accounting',
      AUTH_ORGANIZATION_CLAIM: 'organization',
    },
    claims: {
      iss: 'https://id.octup.com/realms/octup',
      sub: 'f3b0',
      aud: ['accounting', 'account'],
      typ: 'Bearer',
      azp: 'frontend',
      scope: 'openid organization',
      organization: ['globex', 'acme'],
    },
    header: { typ: 'JWT' },
  },
  {
    name: 'Cognito',
    variables: {
      AUTH_ISSUER: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab',
      AUTH_AUDIENCE: '4c2l3k,7h8j9k',
      AUTH_AUDIENCE_CLAIM: 'client_id',
      AUTH_ORGANIZATION_CLAIM: 'cognito:groups',
    },
    claims: {
      iss: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab',
      sub: '02a5',
      aud: undefined as unknown as string,
      client_id: '7h8j9k',
      token_use: 'access',
      scope: 'aws.cognito.signin.user.admin',
      username: '02a5',
      'cognito:groups': ['acme'],
    },
  },
  {
    name: 'Entra',
    variables: {
      AUTH_ISSUER: `https://login.microsoftonline.com/${TENANT}/v2.0, https://sts.windows.net/${TENANT}/`,
      AUTH_AUDIENCE: '1c2d,api://1c2d',
      AUTH_ORGANIZATION_CLAIM: 'extension_1c2d_organization',
    },
    claims: {
      iss: `https://sts.windows.net/${TENANT}/`,
      sub: 'AAAA',
      aud: 'api://1c2d',
      tid: TENANT,
      oid: '77aa',
      ver: '1.0',
      scp: 'access_as_user',
      extension_1c2d_organization: 'acme',
    },
    header: { typ: 'JWT', x5t: 'nOo3ZDrODXEK1jKWhXslHR_KXEg' },
  },
  {
    name: 'Ory',
    variables: {
      AUTH_ISSUER: 'https://hydra.octup.com/',
      AUTH_AUDIENCE: 'accounting',
      AUTH_ORGANIZATION_CLAIM: 'ext.organization.id',
    },
    claims: {
      iss: 'https://hydra.octup.com/',
      sub: '9f1e',
      aud: ['accounting'],
      client_id: 'frontend',
      scp: ['openid'],
      ext: { organization: { id: 'acme' } },
    },
    header: { typ: 'JWT' },
  },
];

describe.each(PROVIDERS)('the access tokens of $name', ({ variables, claims, header }) => {
  let keySet: KeySet;
  let authenticator: CallerAuthenticator;
  const present = async (changes: JWTPayload = {}) =>
    authenticator.authenticate(
      `Bearer ${await keySet.sign({ organization_id: undefined, ...claims, ...changes }, header)}`,
    );

  beforeAll(async () => {
    keySet = await startKeySet(['RS256']);
    const { callers } = loadConfig({
      ...PRODUCTION,
      AUTH_DISABLED: 'false',
      AUTH_JWKS_URL: keySet.url,
      ...variables,
    });
    authenticator = new CallerAuthenticator(callers, DIRECT, new TestClock());
  });
  afterAll(() => keySet.close());

  it('identify the user, and the organizations that the user can act for', async () => {
    const { actor, organizations } = await present();
    expect([actor, organizations]).toMatchObject([claims.sub, { kind: 'only', ids: expect.arrayContaining(['acme']) }]);
  });

  it('are rejected from another issuer, or for another audience', async () => {
    const audienceClaim = variables['AUTH_AUDIENCE_CLAIM'] ?? 'aud';
    expect(await codeOf(present({ iss: `${claims.iss}other` }))).toBe('unauthorized');
    for (const other of ['other', ['other'], '', undefined, { accounting: true }]) {
      expect([other, await codeOf(present({ [audienceClaim]: other }))]).toEqual([other, 'unauthorized']);
    }
  });
});
