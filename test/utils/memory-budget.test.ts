import { describe, expect, it } from '@jest/globals';
import { MemoryBudget } from '../../src/utils/memory-budget.ts';

describe('MemoryBudget', () => {
  it('reserves up to its limit and not a byte more, until something is released', () => {
    const budget = new MemoryBudget(100);
    budget.reserve(60);
    budget.reserve(40);
    const exhausted = { code: 'service_unavailable', retryAfterSeconds: 1, reason: 'body_memory_exhausted' };
    expect(() => budget.reserve(1)).toThrow(expect.objectContaining(exhausted));
    budget.release(60);
    budget.reserve(59);
    budget.reserve(1);
    expect(() => budget.reserve(1)).toThrow(expect.objectContaining(exhausted));
  });

  it('reserves nothing if it cannot reserve all', () => {
    const budget = new MemoryBudget(100);
    expect(() => budget.reserve(101)).toThrow();
    budget.reserve(100);
  });
});
