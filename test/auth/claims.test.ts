import { describe, expect, it } from '@jest/globals';
import { claimAt, namesIn } from '../../src/auth/claims.ts';

describe('a claim', () => {
  it.each([
    ['by its name', 'organization_id', { organization_id: 'acme' }],
    ['by a name that is a URL', 'https://octup.com/organization_id', { 'https://octup.com/organization_id': 'acme' }],
    [
      'by a name with dots rather than a path',
      'organization.id',
      { 'organization.id': 'acme', organization: { id: 'x' } },
    ],
    ['by a path', 'organization.id', { organization: { id: 'acme' } }],
    ['by a longer path', 'ext.organization.id', { ext: { organization: { id: 'acme' } } }],
    [
      'by a path whose first name has dots',
      'https://octup.com/claims.id',
      { 'https://octup.com/claims': { id: 'acme' } },
    ],
  ])('is found %s', (_, path, claims) => {
    expect(claimAt(claims, path)).toBe('acme');
  });

  it.each(['constructor', 'constructor.name', '__proto__', 'organization.constructor', 'organization.0', '.', ''])(
    'is not found at %j, which the token does not have',
    (path) => {
      expect(claimAt({ organization: ['acme'], other: 'acme' }, path)).toBeUndefined();
    },
  );

  it('names what is a string, or the strings of an array', () => {
    expect(namesIn('acme')).toEqual(['acme']);
    expect(namesIn(['acme', 7, '', null, ['globex', 'x'], { id: 'x' }, 'globex'])).toEqual(['acme', 'globex']);
    for (const other of [undefined, null, '', 7, true, { id: 'acme' }]) expect(namesIn(other)).toEqual([]);
  });
});
