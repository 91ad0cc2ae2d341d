import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Options, Store } from 'express-rate-limit';
import { pino } from 'pino';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { createSharedStore } from '../../src/middleware/shared-rate-limits.ts';
import { RedisConnection } from '../../src/redis/redis-connection.ts';
import { closedPort } from '../support/tcp-relay.ts';
import { TestClock } from '../support/test-clock.ts';
import { until } from '../support/until.ts';

describe('a replica whose Redis is unavailable', () => {
  const clock = new TestClock();
  let lines: string[];
  let connection: RedisConnection;

  beforeEach(() => {
    lines = [];
  });
  afterEach(() => connection.close());

  it('logs the reason, without the password', async () => {
    connectTo(await closedPort());
    await until(() => lines.length > 0);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 40, event: 'redis.unavailable', reason: 'ECONNREFUSED' });
    expect(lines.join()).not.toContain('canary');
  });

  it('warns once per minute, however often it tries to connect', async () => {
    let attempts = 0;
    const server = await listen((socket) => {
      attempts += 1;
      socket.destroy();
    });
    connectTo((server.address() as AddressInfo).port);
    for (let minute = 1; minute <= 2; minute += 1) {
      const before = attempts;
      await until(() => attempts >= before + 3); // two attempts have failed when the third one begins
      expect(lines).toHaveLength(minute);
      clock.advance(61_000);
    }
    server.close();
  });

  it('counts requests itself', async () => {
    connectTo(await closedPort());
    const store: Store = createSharedStore('browser', connection);
    void store.init?.({ windowMs: 60_000 } as Options);
    expect((await store.increment('a')).totalHits).toBe(1);
    expect((await store.increment('a')).totalHits).toBe(2);
    expect((await store.increment('b')).totalHits).toBe(1);
  });

  function connectTo(port: number): void {
    const logger = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
    connection = new RedisConnection({
      redis: parseRedisUrl(`redis://user:canary-password@127.0.0.1:${port}`),
      clock,
      logger,
    });
  }
});

async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onConnection).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
