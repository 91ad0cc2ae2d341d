import { describe, expect, it } from '@jest/globals';
import { MemoryBudget } from '../../src/utils/memory-budget.ts';

const LIMITS = { maxBytes: 100, maxBytesPerOwner: 50 };

describe('MemoryBudget', () => {
  it('reserves up to its limit and not a byte more, until something is released', () => {
    const budget = new MemoryBudget(LIMITS);
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
    const budget = new MemoryBudget(LIMITS);
    expect(() => budget.reserve(101)).toThrow();
    expect(() => budget.reserve(51, 'owner')).toThrow();
    budget.reserve(50, 'owner');
    budget.reserve(50);
  });

  it('reserves no more than its share for one owner, while others have theirs', () => {
    const budget = new MemoryBudget(LIMITS);
    budget.reserve(30, 'owner');
    budget.reserve(20, 'owner');
    const exhausted = { code: 'service_unavailable', retryAfterSeconds: 1, reason: 'body_memory_share_exhausted' };
    expect(() => budget.reserve(1, 'owner')).toThrow(expect.objectContaining(exhausted));
    budget.reserve(50, 'another');
    budget.release(30, 'owner');
    budget.reserve(30, 'owner');
    expect(() => budget.reserve(1, 'owner')).toThrow(expect.objectContaining({ reason: 'body_memory_exhausted' }));
  });
});
