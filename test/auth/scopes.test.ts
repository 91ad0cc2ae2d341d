import { describe, expect, it } from '@jest/globals';
import type { Caller, Organizations } from '../../src/auth/caller-authenticator.ts';
import { authorizeScope } from '../../src/auth/scopes.ts';
import type { OrganizationId } from '../../src/models/connection.ts';
import { SCOPES, type Scope } from '../../src/models/scope.ts';

const ONE: Organizations = { kind: 'only', ids: ['acme' as OrganizationId] };
const ALL: Organizations = { kind: 'all' };

describe('authorizeScope', () => {
  it.each([
    ['an API key has every scope', ALL, undefined, [...SCOPES, 'ledgerly:write']],
    [
      'an API key has the listed scopes',
      ALL,
      ['connections:list', 'quickbooks:read'],
      ['connections:list', 'quickbooks:read'],
    ],
    [
      'a user has every scope of one organization',
      ONE,
      undefined,
      [...SCOPES, 'ledgerly:write'].filter((name) => name !== 'connections:list'),
    ],
    ['a user never lists all organizations', ONE, ['connections:list', 'quickbooks:read'], ['quickbooks:read']],
    [
      'a user of no organization never lists them',
      { kind: 'only', ids: [] } as Organizations,
      ['connections:list'],
      [],
    ],
  ])('%s', (_, organizations, scopes, expected) => {
    const caller: Caller = { actor: 'x', account: 'x', organizations, scopes: scopes && new Set(scopes) };
    expect([...SCOPES, 'ledgerly:write' as Scope].filter((scope) => permits(caller, scope)).sort()).toEqual(
      expected.sort(),
    );
  });
});

function permits(caller: Caller, scope: Scope): boolean {
  try {
    authorizeScope(caller, scope);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'forbidden', requiredScope: scope, detail: expect.stringContaining(scope) });
    return false;
  }
}
