import { describe, expect, it } from '@jest/globals';
import { authorizeOrganization } from '../../src/auth/authorize-organization.ts';
import { ANONYMOUS, type Organizations } from '../../src/auth/caller-authenticator.ts';
import { AppError } from '../../src/errors.ts';
import type { OrganizationId } from '../../src/models/connection.ts';

const ACME = 'acme' as OrganizationId;

describe('authorizeOrganization', () => {
  it.each<[caller: string, Organizations]>([
    ['may act for every organization', { kind: 'all' }],
    ['may act for this organization', { kind: 'only', ids: [ACME] }],
  ])('accepts a caller that %s', (_, organizations) => {
    expect(() => authorizeOrganization(callerOf(organizations), ACME)).not.toThrow();
  });

  it.each<[caller: string, Organizations]>([
    ['may act for another organization', { kind: 'only', ids: ['globex' as OrganizationId] }],
    ['may act for one with other capitals', { kind: 'only', ids: ['ACME' as OrganizationId] }],
    ['may act for one that begins like this one', { kind: 'only', ids: ['acme-2' as OrganizationId] }],
    ['may act for one without a name', { kind: 'only', ids: ['' as OrganizationId] }],
    ['may act for no organization', { kind: 'only', ids: [] }],
  ])('rejects a caller that %s', (_, organizations) => {
    let thrown: unknown;
    try {
      authorizeOrganization(callerOf(organizations), ACME);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AppError);
    expect(thrown).toMatchObject({ code: 'forbidden' });
  });

  it('accepts any caller if no credentials are required', () => {
    expect(() => authorizeOrganization(ANONYMOUS, ACME)).not.toThrow();
  });
});

function callerOf(organizations: Organizations) {
  return { actor: 'user-7', account: 'jwt:user-7', organizations };
}
