import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isEqual, open, sign } from '../../src/crypto/signed-payload.ts';

const [NEW, OLD] = ['n'.repeat(32), 'o'.repeat(32)];

describe('sign and open', () => {
  it('return the payload that any of the secrets signed, for its own purpose only', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.string(), (payload, purpose, other) => {
        const signed = sign(purpose, payload, OLD);
        expect(signed).toMatch(/^[\w-]*\.[\w-]{43}$/);
        const same = JSON.parse(JSON.stringify(payload));
        expect(open(purpose, signed, [NEW, OLD])).toEqual(same);
        if (purpose !== other) expect(open(other, signed, [NEW, OLD])).toBeUndefined();
        expect(open(purpose, signed, [NEW])).toBeUndefined();
        expect(open(purpose, signed, [])).toBeUndefined();
      }),
    );
  });

  it('reject a payload of which a character was changed, removed or inserted', () => {
    const signed = sign('p', { id: 'x' }, NEW);
    const character = fc.constantFrom(...'ABCxyz019-_.=+/ \u00e9\0');
    fc.assert(
      fc.property(fc.nat(signed.length), fc.nat(2), character, (at, removed, inserted) => {
        const changed = signed.slice(0, at) + inserted + signed.slice(at + removed);
        if (changed !== signed) expect(open('p', changed, [NEW])).toBeUndefined();
        if (at < signed.length) expect(open('p', signed.slice(0, at), [NEW])).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('reject any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(open('p', text, [NEW, OLD])).toBeUndefined();
      }),
    );
  });

  it('keep the purpose and the payload apart', () => {
    const [text, signature] = sign('a', { id: 'x' }, NEW).split('.');
    expect(open('', `a.${text}.${signature}`, [NEW])).toBeUndefined();
    expect(open('', `${text}.${signature}`, [NEW])).toBeUndefined();
  });
});

describe('isEqual', () => {
  it.each([
    ['', '', true],
    ['a', 'a', true],
    ['é', 'é', true],
    ['a', 'b', false],
    ['a', 'aa', false],
    ['é', 'ab', false], // two bytes each
  ])('returns for %j and %j: %s', (a, b, equal) => {
    expect(isEqual(a, b)).toBe(equal);
  });
});
