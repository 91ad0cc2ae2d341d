import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { createSqlite } from '../support/databases.ts';
import { useHarness } from '../support/harness.ts';
import { type RedisGroup, startCluster, startSentinelGroup } from '../support/redis-groups.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { PREFIX } from '../support/requests.ts';
import { send } from '../support/send.ts';
import { startService, type TestService } from '../support/service.ts';
import { closedPort } from '../support/tcp-relay.ts';
import { until } from '../support/until.ts';

const LIMIT = 5;

const harness = useHarness(createSqlite);
const services: TestService[] = [];
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
});

const describeWithRedis = process.env['HAS_REDIS'] ? describe : describe.skip;

describeWithRedis('rate limits in Redis', () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.close());

  it('are shared by all replicas, and each limit has its own counts', async () => {
    const [one, two] = await startReplicas(redis.url);
    for (const service of services) await untilShared(redis, service);
    expect(await remaining(one, two, one, two, one)).toEqual([4, 3, 2, 1, 0]);
    expect([await call(one), await call(two)]).toEqual([
      [429, 0],
      [429, 0],
    ]);
    const status = await send(two?.origin ?? '', `${PREFIX}/status/acme`, { headers: bearer(KEYS.billing) });
    expect(status.headers['ratelimit']).toMatch(/r=49;/);
    expect(warnings()).toEqual([]);
  });

  it('expire after a minute by Redis’ own clock, and contain no key or token', async () => {
    const [one] = await startReplicas(redis.url, 1);
    await untilShared(redis, one);
    await call(one);
    const ttl = await redis.command('PTTL rate-limit:change:key:billing');
    expect(Number(ttl.slice(1))).toBeGreaterThan(0);
    expect(Number(ttl.slice(1))).toBeLessThanOrEqual(60_000);
    expect(await redis.command('KEYS *')).not.toContain(KEYS.billing);
  });

  it('are counted by each replica while Redis is down, and shared again once it is back, although it is empty', async () => {
    const [one, two] = await startReplicas(redis.url);
    for (const service of services) await untilShared(redis, service);
    expect(await remaining(one, two)).toEqual([4, 3]);
    await redis.kill();
    await callTimes(one, 3);
    const [, left] = await call(one);
    expect([left, (await remaining(two))[0]]).toEqual([1, 4]);
    await redis.start();
    for (const service of services) await untilShared(redis, service);
    expect(await remaining(two, one, two)).toEqual([4, 3, 2]);
    expect(warnings()).toMatchObject(Array(2).fill({ level: 40, event: 'redis.unavailable' }));
    expect(warnings()).toHaveLength(2);
  });

  it('are counted by each replica while Redis does not respond, and shared again once it does', async () => {
    const [one, two] = await startReplicas(redis.url);
    for (const service of services) await untilShared(redis, service);
    redis.freeze();
    await callTimes(one, 6);
    expect(await call(one)).toEqual([429, 0]);
    expect(warnings()).toHaveLength(1);
    redis.thaw();
    for (const service of services) await untilShared(redis, service);
    expect(await remaining(one, two)).toEqual([4, 3]);
  });

  it('are shared even if Redis has lost its scripts', async () => {
    const [one, two] = await startReplicas(redis.url);
    for (const service of services) await untilShared(redis, service);
    await redis.command('SCRIPT FLUSH');
    expect(await remaining(one, two)).toEqual([4, 3]);
    expect(warnings()).toEqual([]);
  });

  it('are shared once Redis permits scripts, which it did not at first', async () => {
    await redis.command('ACL SETUSER default -script');
    const [one, two] = await startReplicas(redis.url);
    await callTimes(one, 3);
    await redis.command('ACL SETUSER default +script');
    await until(async () => {
      await callTimes(two, 1); // the first call still finds no script, and loads it
      return (await redis.command('KEYS rate-limit:*')).includes('billing');
    });
  });
});

describeWithRedis.each([
  ['whose primary Sentinels choose', startSentinelGroup],
  ['that is a cluster', () => startCluster('rate-limit:change:key:billing')],
])('rate limits in a Redis %s', (_, startGroup) => {
  let group: RedisGroup;
  beforeEach(async () => {
    group = await startGroup();
  });
  afterEach(() => group.close());

  it('are shared by all replicas, before and after a failover, and no call fails meanwhile', async () => {
    const [one, two] = await startReplicas(group.url);
    for (const service of services) await untilShared(group, service);
    expect(await remaining(one, two, one)).toEqual([4, 3, 2]);
    await group.detectFailures();
    await group.primary.kill();
    await until(async () => {
      for (const service of services) await callTimes(service, 1);
      return (await group.replica.command('KEYS rate-limit:change:*')).includes('billing');
    });
    for (const service of services) await untilShared(group, service);
    expect(await remaining(one, two, one)).toEqual([4, 3, 2]);
    expect(new Set(warnings().map(({ event }) => event))).toEqual(new Set(['redis.unavailable']));
    expect(services.flatMap(({ logs }) => logs).join()).not.toContain('secret@');
  });
});

describe('rate limits whose Redis cannot be reached', () => {
  it.each([
    ['refuses connections', async () => `redis://127.0.0.1:${await closedPort()}`],
    ['has an unknown host name', async () => 'redis://nowhere.invalid:6379'],
    ['has a password', async () => `redis://default:canary-password@127.0.0.1:${await closedPort()}`],
  ])('since it %s are counted by each replica, with one warning', async (_, url) => {
    const [one, two] = await startReplicas(await url());
    await callTimes(one, 2);
    expect(await remaining(one, one, one, two)).toEqual([2, 1, 0, 4]);
    expect((await call(one))[0]).toBe(429);
    await until(() => warnings().length === 2);
    expect(warnings()).toMatchObject([{ level: 40 }, { level: 40 }]);
    expect(services.flatMap(({ logs }) => logs).join()).not.toContain('canary-password');
  });
});

/** Starts replicas that share only Redis: each has a database of its own. */
async function startReplicas(redisUrl: string, count = 2): Promise<TestService[]> {
  const env = { ...WITH_KEYS, REDIS_URL: redisUrl, RATE_LIMIT_PER_MINUTE: String(LIMIT) };
  const { simulator } = harness;
  for (let replica = 0; replica < count; replica += 1) {
    services.push(await startService({ databaseUrl: 'sqlite::memory:', simulator, env }));
  }
  return services;
}

/** Requests a link, which is counted by caller. Returns the status, and how many calls remain. */
async function call(service: TestService | undefined, key: string = KEYS.billing): Promise<[number, number]> {
  const path = `${PREFIX}/connect/acme`;
  const { status, headers } = await send(service?.origin ?? '', path, { method: 'POST', headers: bearer(key) });
  return [status, Number(/r=(\d+)/.exec(String(headers['ratelimit']))?.[1])];
}

/** Calls these services one after another. Returns how many calls remain after each. */
async function remaining(...order: (TestService | undefined)[]): Promise<number[]> {
  const numbers: number[] = [];
  for (const service of order) numbers.push((await call(service))[1]);
  return numbers;
}

/** Calls several times. The limit may be exceeded, but no call fails because of Redis. */
async function callTimes(service: TestService | undefined, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) expect([201, 429]).toContain((await call(service))[0]);
}

/** Log lines at level warn or above. */
function warnings(): Record<string, unknown>[] {
  return services.flatMap(({ logs }) => logs.map((line) => JSON.parse(line)).filter(({ level }) => level >= 40));
}

/** Resolves once a service counts in Redis: another caller's call then appears there as a key. */
async function untilShared(redis: Pick<RedisServer, 'command'>, service: TestService | undefined): Promise<void> {
  await until(async () => {
    await call(service, KEYS.reports);
    return (await redis.command('KEYS rate-limit:change:*')).includes('reports');
  });
  await redis.command('FLUSHDB');
}
