import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ByteBlocks } from '../../src/utils/byte-blocks.ts';

describe('ByteBlocks', () => {
  it.each([
    ['of one byte', 1],
    ['of several bytes', 1_000],
    ['larger than a block', 150_000],
  ])('returns what was appended in chunks %s, and begins anew', (_, chunkBytes) => {
    const blocks = new ByteBlocks();
    for (const bytes of [randomBytes(200_000), randomBytes(70_000)]) {
      for (let at = 0; at < bytes.length; at += chunkBytes) blocks.append(bytes.subarray(at, at + chunkBytes));
      expect(blocks.size).toBe(bytes.length);
      expect(blocks.take().equals(bytes)).toBe(true);
      expect(blocks.size).toBe(0);
    }
    expect(blocks.take()).toHaveLength(0);
  });

  it('copies what is appended', () => {
    const blocks = new ByteBlocks(3);
    const chunk = Buffer.from('abc');
    blocks.append(chunk);
    chunk.fill('x');
    expect(blocks.take().toString()).toBe('abc');
  });

  it('holds more than was announced', () => {
    const blocks = new ByteBlocks(2);
    blocks.append(Buffer.from('abcde'));
    expect(blocks.take().toString()).toBe('abcde');
  });
});
