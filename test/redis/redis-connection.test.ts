import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { RedisConnection } from '../../src/redis/redis-connection.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { TestClock } from '../support/test-clock.ts';
import { until } from '../support/until.ts';

const describeWithRedis = process.env['HAS_REDIS'] ? describe : describe.skip;

describeWithRedis('a connection to a Redis that fails over', () => {
  const clock = new TestClock();
  let primary: RedisServer;
  let next: RedisServer;
  let address: TcpRelay;
  let redis: RedisConnection;
  let reasons: string[];

  beforeEach(async () => {
    [primary, next] = await Promise.all([startRedis(), startRedis()]);
    address = await startTcpRelay(primary.url);
    reasons = [];
    const logger = pino({}, { write: (line) => reasons.push(JSON.parse(line).reason) });
    redis = new RedisConnection({ redis: parseRedisUrl(address.url), clock, logger });
    await untilWritten();
  });
  afterEach(async () => {
    redis.close();
    address.close();
    primary.thaw();
    await Promise.all([primary.close(), next.close()]);
  });

  it('is made anew to the new primary if the previous one has become read-only', async () => {
    const { hostname, port } = new URL(next.url);
    await primary.command(`REPLICAOF ${hostname} ${port}`);
    address.redirect(next.url);
    expect(await write()).toBeUndefined();
    expect(reasons).toEqual(['READONLY']);
    await untilWritten();
    expect(await next.command('GET key')).toContain('value');
  });

  it('is made anew to the new primary if the previous one no longer responds, although it stays open', async () => {
    primary.freeze();
    address.redirect(next.url);
    expect(await write()).toBeUndefined();
    expect(reasons).toEqual(['timeout']);
    await untilWritten();
    expect(await next.command('GET key')).toContain('value');
  });

  const write = () => redis.attempt(() => redis.send('SET', 'key', 'value'));

  /** Resolves once a command succeeds again. */
  async function untilWritten(): Promise<void> {
    await until(async () => {
      clock.advance(1_000);
      return (await write()) !== undefined;
    });
  }
});
