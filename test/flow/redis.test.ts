import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type IntuitSimulator, startIntuitSimulator } from '../../dev/intuit-simulator/simulator.ts';
import { bearer, KEYS, WITH_KEYS } from '../support/credentials.ts';
import { until } from '../support/gateway.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { PREFIX } from '../support/requests.ts';
import { send } from '../support/send.ts';
import { startService, type TestService } from '../support/service.ts';
import { closedPort } from '../support/tcp-proxy.ts';

const LIMIT = 5;

let simulator: IntuitSimulator;
const services: TestService[] = [];

beforeAll(async () => {
  simulator = await startIntuitSimulator();
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
});
afterAll(() => simulator.close());

/** Replicas that share their counts, each with a database of its own, since none is needed in common. */
async function begin(redisUrl: string, count = 2): Promise<TestService[]> {
  const env = { ...WITH_KEYS, REDIS_URL: redisUrl, RATE_LIMIT_PER_MINUTE: String(LIMIT) };
  for (let replica = 0; replica < count; replica += 1)
    services.push(await startService({ databaseUrl: 'sqlite::memory:', simulator, env }));
  return services;
}

/** A link is asked for: counted by caller. Answers the status, and how many calls are left. */
async function call({ origin }: TestService, key: string = KEYS.billing): Promise<[status: number, left: number]> {
  const path = `${PREFIX}/connect/acme`;
  const { status, headers } = await send(origin, path, { method: 'POST', headers: bearer(key) });
  return [status, Number(/r=(\d+)/.exec(String(headers['ratelimit']))?.[1])];
}

async function lefts(...order: (TestService | undefined)[]): Promise<number[]> {
  const answers: number[] = [];
  for (const service of order) answers.push((await call(service as TestService))[1]);
  return answers;
}

/** Calls so often that the limit may be exceeded; no call fails, whatever Redis does. */
async function callTimes(service: TestService | undefined, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) expect([201, 429]).toContain((await call(service as TestService))[0]);
}

/** Lines at level warn or above. */
function complaints(): Record<string, unknown>[] {
  return services.flatMap(({ logs }) => logs.map((line) => JSON.parse(line)).filter(({ level }) => level >= 40));
}

/** Resolves once a replica has its counts from Redis: then another caller's call is a key there. */
async function shares(redis: RedisServer, service: TestService | undefined): Promise<void> {
  await until(async () => {
    await call(service as TestService, KEYS.reports);
    return (await redis.command('KEYS rate-limit:change:*')).includes('reports');
  });
  await redis.command('FLUSHDB');
}

const describeWithRedis = process.env['HAS_REDIS'] ? describe : describe.skip;

describeWithRedis('rate limits in Redis', () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.close());

  it('are shared by all replicas, and each limit has its own counts', async () => {
    const [one, two] = await begin(redis.url);
    for (const service of services) await shares(redis, service);
    expect(await lefts(one, two, one, two, one)).toEqual([4, 3, 2, 1, 0]);
    expect([await call(one as TestService), await call(two as TestService)]).toEqual([
      [429, 0],
      [429, 0],
    ]);
    const status = await send(two?.origin ?? '', `${PREFIX}/status/acme`, { headers: bearer(KEYS.billing) });
    expect(status.headers['ratelimit']).toMatch(/r=49;/);
    expect(complaints()).toEqual([]);
  });

  it('end after a minute by Redis’ own clock, and hold no key or token', async () => {
    const [one] = await begin(redis.url, 1);
    await shares(redis, one);
    await call(one as TestService);
    const ttl = await redis.command('PTTL rate-limit:change:key:billing');
    expect(Number(ttl.slice(1))).toBeGreaterThan(0);
    expect(Number(ttl.slice(1))).toBeLessThanOrEqual(60_000);
    expect(await redis.command('KEYS *')).not.toContain(KEYS.billing);
  });

  it('are counted by each replica for itself while Redis is dead, and shared again once it is back, with nothing', async () => {
    const [one, two] = await begin(redis.url);
    for (const service of services) await shares(redis, service);
    expect(await lefts(one, two)).toEqual([4, 3]);
    await redis.kill();
    await callTimes(one, 3);
    const [, left] = await call(one as TestService);
    expect([left, (await lefts(two))[0]]).toEqual([1, 4]);
    await redis.start();
    for (const service of services) await shares(redis, service);
    expect(await lefts(two, one, two)).toEqual([4, 3, 2]);
    expect(complaints()).toHaveLength(2);
    for (const line of complaints()) expect(line).toMatchObject({ level: 40, msg: expect.stringMatching(/Redis/) });
  });

  it('let requests pass while Redis is frozen, and are shared again once it is not', async () => {
    const [one, two] = await begin(redis.url);
    for (const service of services) await shares(redis, service);
    redis.freeze();
    await callTimes(one, 6);
    expect(await call(one as TestService)).toEqual([429, 0]);
    expect(complaints()).toHaveLength(1);
    redis.thaw();
    for (const service of services) await shares(redis, service);
    expect(await lefts(one, two)).toEqual([4, 3]);
  });

  it('are shared though Redis forgot its scripts', async () => {
    const [one, two] = await begin(redis.url);
    for (const service of services) await shares(redis, service);
    await redis.command('SCRIPT FLUSH');
    expect(await lefts(one, two)).toEqual([4, 3]);
    expect(complaints()).toEqual([]);
  });

  it('are shared once Redis takes scripts, which it did not at first', async () => {
    await redis.command('ACL SETUSER default -script');
    const [one, two] = await begin(redis.url);
    await callTimes(one, 3);
    await redis.command('ACL SETUSER default +script');
    await until(async () => {
      await callTimes(two, 1); // the first one still finds the scripts missing, and loads them
      return (await redis.command('KEYS rate-limit:*')).includes('billing');
    });
  });
});

describe('rate limits whose Redis was never there', () => {
  it.each([
    ['refuses', async () => `redis://127.0.0.1:${await closedPort()}`],
    ['has no name', async () => 'redis://nowhere.invalid:6379'],
    ['has a secret', async () => `redis://default:canary-password@127.0.0.1:${await closedPort()}`],
  ])('that %s are each replica’s own, with one warning', async (_, url) => {
    const [one, two] = await begin(await url());
    await callTimes(one, 2);
    expect(await lefts(one, one, one, two)).toEqual([2, 1, 0, 4]);
    expect((await call(one as TestService))[0]).toBe(429);
    await until(() => complaints().length === 2);
    expect(complaints()).toMatchObject([{ level: 40 }, { level: 40 }]);
    expect(services.flatMap(({ logs }) => logs).join()).not.toContain('canary-password');
  });
});
