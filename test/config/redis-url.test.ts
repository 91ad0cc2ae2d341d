import { describe, expect, it } from '@jest/globals';
import { parseRedisUrl } from '../../src/config/redis-url.ts';

describe('REDIS_URL', () => {
  it.each([
    [
      'redis://redis',
      {
        topology: { kind: 'server', database: 0 },
        addresses: [{ host: 'redis', port: 6379 }],
        isEncrypted: false,
        user: undefined,
        password: undefined,
      },
    ],
    ['redis://[::1]:6380', { addresses: [{ host: '::1', port: 6380 }] }],
    ['redis://:p%40ss%25@redis/3', { topology: { kind: 'server', database: 3 }, user: undefined, password: 'p@ss%' }],
    ['rediss://user:secret@redis.example:6380/', { isEncrypted: true, user: 'user', password: 'secret' }],
    [
      'redis+sentinel://user:p%40s,s@one,two:26380,[::1]:26381/accounts-1.main/2',
      {
        topology: { kind: 'sentinel', service: 'accounts-1.main', database: 2, user: undefined, password: undefined },
        addresses: [
          { host: 'one', port: 26379 },
          { host: 'two', port: 26380 },
          { host: '::1', port: 26381 },
        ],
        isEncrypted: false,
        user: 'user',
        password: 'p@s,s',
      },
    ],
    [
      'rediss+sentinel://one/accounts?sentinel_username=watcher&sentinel_password=p%26s',
      {
        topology: { kind: 'sentinel', service: 'accounts', database: 0, user: 'watcher', password: 'p&s' },
        isEncrypted: true,
        password: undefined,
      },
    ],
    [
      'redis+cluster://user:secret@one,[fe80::2]:6380',
      {
        topology: { kind: 'cluster' },
        addresses: [
          { host: 'one', port: 6379 },
          { host: 'fe80::2', port: 6380 },
        ],
        isEncrypted: false,
        user: 'user',
        password: 'secret',
      },
    ],
    ['REDISS+Cluster://one/0', { topology: { kind: 'cluster' }, isEncrypted: true }],
  ])('%s is parsed into every part of the address', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected);
  });

  it.each([
    ['redis://user:canary%zz@redis', 'contains a % that encodes nothing: write it as %25'],
    ['redis://user:canary#@redis', 'contains a #: write it as %23'],
    ['redis://user:canary@redis?timeout=1', 'has an unknown parameter: none can be set'],
    ['redis://user:canary@redis/one', /^must be redis:/],
    ['redis://', /^must be redis:/],
    ['http://canary', /^must be redis:/],
    ['redis://canary-1:6379,canary-2:6379', /^must be redis:/],
    ['redis://canary-1,canary-2', /^must be redis:/],
    ['redis+sentinel://canary:26379', /^must be redis:/],
    ['redis+sentinel://canary:26379/two words', /^must be redis:/],
    ['redis+sentinel://canary:26379/accounts/one', /^must be redis:/],
    ['redis+sentinel://canary-1,,canary-2/accounts', /^must be redis:/],
    ['redis+sentinel://canary-1:26379,canary-2:port/accounts', /^must be redis:/],
    ['redis+sentinel://user:canary%zz@one,two/accounts', 'contains a % that encodes nothing: write it as %25'],
    [
      'redis+sentinel://one/accounts?password=canary',
      'has an unknown parameter: sentinel_username, sentinel_password can be set',
    ],
    ['redis+sentinel://one/accounts?sentinel_username=canary', 'has sentinel_username without sentinel_password'],
    ['redis+cluster://canary/1', 'must name no database: a cluster has none but 0'],
    ['redis+cluster://canary/accounts', /^must be redis:/],
    ['redis+cluster://', /^must be redis:/],
    ['redis+socket://canary', /^must be redis:/],
    ['redis+cluster:canary', /^must be redis:/],
    ['canary', /^must be redis:/],
  ])('rejects %s, without naming its value', (url, problem) => {
    expect(() => parseRedisUrl(url)).toThrow(problem);
    expect(() => parseRedisUrl(url)).not.toThrow(/canary/);
  });
});
