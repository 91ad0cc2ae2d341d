import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { RedisConnection } from '../../src/redis/redis-connection.ts';
import { emptyFolder, startProcess } from '../support/processes.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { closedPort, startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';
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

const describeWithProxy = process.env['HAS_REDIS'] && process.env['HAS_HAPROXY'] ? describe : describe.skip;

describeWithProxy('a connection to two Redis servers through the proxy of the handbook', () => {
  it('reaches the one that is the primary, before and after a failover', async () => {
    const [one, two] = await Promise.all([startRedis(), startRedis()]);
    const replicate = (replica: RedisServer, { url }: RedisServer) =>
      replica.command(`REPLICAOF 127.0.0.1 ${new URL(url).port}`);
    await replicate(one, two);
    const port = await closedPort();
    const [, settings = ''] = /```haproxy\n(.*?)```/s.exec(readFileSync('docs/operations/deployment.md', 'utf8')) ?? [];
    const folder = emptyFolder();
    writeFileSync(
      join(folder, 'redis.cfg'),
      settings
        .replace(':6379', `127.0.0.1:${port}`)
        .replace('redis-1:6379', new URL(one.url).host)
        .replace('redis-2:6379', new URL(two.url).host),
    );
    const proxy = startProcess({
      command: 'haproxy',
      args: ['-db', '-f', join(folder, 'redis.cfg')],
      env: {},
      cwd: folder,
    });
    const clock = new TestClock();
    const redis = new RedisConnection({
      redis: parseRedisUrl(`redis://127.0.0.1:${port}`),
      clock,
      logger: pino({ enabled: false }),
    });
    const writes = async (value: string) => {
      clock.advance(1_000);
      return (await redis.attempt(() => redis.send('SET', 'key', value))) !== undefined;
    };
    await until(() => writes('first'));
    expect(await two.command('GET key')).toContain('first');
    await one.command('REPLICAOF NO ONE');
    await replicate(two, one);
    await until(async () => (await writes('second')) && (await one.command('GET key')).includes('second'));
    redis.close();
    await proxy.kill('SIGTERM');
    await Promise.all([one.close(), two.close()]);
  }, 30_000);
});
