import { describe, expect, it } from '@jest/globals';
import { nearest } from '../../src/utils/nearest.ts';

describe('nearest', () => {
  it.each([
    ['colour', 'color'],
    ['gery', 'grey'],
    ['red', 'red'],
    ['blu', 'blue'],
  ])('finds for %s the candidate %s', (text, candidate) => {
    expect(nearest(text, ['color', 'grey', 'red', 'blue'], 2)).toBe(candidate);
  });

  it('finds none if all differ by more than the limit', () => {
    expect(nearest('violet', ['color', 'grey', 'red', 'blue'], 2)).toBeUndefined();
    expect(nearest('violet', [], 2)).toBeUndefined();
  });
});
