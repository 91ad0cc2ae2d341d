import { describe, expect, it } from '@jest/globals';
import { parseRedisUrl } from '../../src/config/redis-url.ts';

describe('REDIS_URL', () => {
  it.each([
    [
      'redis://redis',
      { host: 'redis', port: 6379, isEncrypted: false, user: undefined, password: undefined, database: 0 },
    ],
    ['redis://[::1]:6380', { host: '::1', port: 6380 }],
    ['redis://:p%40ss%25@redis/3', { user: undefined, password: 'p@ss%', database: 3 }],
    ['rediss://user:secret@redis.example:6380/', { isEncrypted: true, user: 'user', password: 'secret', database: 0 }],
  ])('%s is parsed into every part of the server’s address', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected);
  });

  it.each([
    ['redis://user:canary%zz@redis', 'contains a % that encodes nothing: write it as %25'],
    ['redis://user:canary#@redis', 'contains a #: write it as %23'],
    ['redis://user:canary@redis?timeout=1', 'has an unknown parameter: none can be set'],
    ['redis://user:canary@redis/one', /^must be redis:/],
    ['redis://', /^must be redis:/],
    ['http://canary', /^must be redis:/],
    ['redis+sentinel://canary:26379/primary', /^must be redis:/],
    ['redis://canary-1:6379,canary-2:6379', /^must be redis:/],
    ['redis://canary-1,canary-2', /^must be redis:/],
    ['canary', /^must be redis:/],
  ])('rejects %s, without naming its value', (url, problem) => {
    expect(() => parseRedisUrl(url)).toThrow(problem);
    expect(() => parseRedisUrl(url)).not.toThrow(/canary/);
  });
});
