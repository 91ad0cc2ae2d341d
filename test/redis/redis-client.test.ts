import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { RedisConnection } from '../../src/redis/redis-connection.ts';
import { systemClock } from '../../src/utils/clock.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import { projectFile, startProcess } from '../support/processes.ts';
import {
  nodeId,
  type RedisGroup,
  startCluster,
  startClusterNode,
  startSentinel,
  startSentinelGroup,
} from '../support/redis-groups.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { closedPort } from '../support/tcp-relay.ts';
import { TestClock } from '../support/test-clock.ts';
import { until } from '../support/until.ts';

const KEY = 'key';
const INCREMENT = "return redis.call('INCR', KEYS[1])";

const describeWithRedis = process.env['HAS_REDIS'] ? describe : describe.skip;

const clock = new TestClock();
const connections: RedisConnection[] = [];
let reasons: string[] = [];
beforeEach(() => {
  reasons = [];
});

function connectTo(url: string): RedisConnection {
  const logger = pino({}, { write: (line) => reasons.push(JSON.parse(line).reason) });
  const connection = new RedisConnection({ redis: parseRedisUrl(url), clock, logger });
  connections.push(connection);
  return connection;
}

/** Besides timeouts, which a busy machine can cause. */
function failures(): string[] {
  return reasons.filter((reason) => !/timeout/i.test(reason));
}

/** Resolves once a script has incremented a key. */
async function untilIncremented(redis: RedisConnection, key = KEY): Promise<void> {
  await until(() => redis.attempt(() => redis.send('EVAL', INCREMENT, '1', key)));
}

describeWithRedis.each([
  ['whose primary Sentinels choose', startSentinelGroup],
  ['that is a cluster', () => startCluster(KEY)],
])('a connection to a Redis %s', (_, startGroup) => {
  let group: RedisGroup;
  let redis: RedisConnection;
  beforeEach(async () => {
    group = await startGroup();
    redis = connectTo(group.url);
    await untilIncremented(redis);
  });
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close();
    await group.close();
  });

  it('is made anew to the replica that replaced a killed primary', async () => {
    await group.detectFailures();
    await group.primary.kill();
    await untilIncremented(redis);
    expect(await group.replica.command(`GET ${KEY}`)).toMatch(/\d\r\n/);
    expect(reasons).not.toEqual([]);
  });

  it('is made anew to the replica that replaced a primary that no longer responds', async () => {
    await group.detectFailures();
    group.primary.freeze();
    await until(async () => {
      await redis.attempt(() => redis.send('EVAL', INCREMENT, '1', KEY));
      return (await group.replica.command('ROLE')).includes('master');
    });
    await untilIncremented(redis);
    expect(reasons[0]).toMatch(/timeout/i);
  });

  it('is made although the first address does not respond', async () => {
    const url = group.url.replace('127.0.0.1:', `127.0.0.1:${await closedPort()},127.0.0.1:`);
    await untilIncremented(connectTo(url));
    expect(failures()).toEqual([]);
  });

  it('logs why it cannot be made, without any secret', async () => {
    connectTo(group.url.replace('service:secret@', 'service:canary@'));
    await until(() => {
      clock.advance(61_000); // so that each attempt logs its reason
      return reasons.includes('WRONGPASS');
    });
    expect(reasons.join()).not.toContain('canary');
  });

  it('leaves no connection open when it is closed, whether it was made or not', async () => {
    expect(await clients()).toContain('user=service');
    redis.close();
    for (let turns = 0; turns < 20; turns += 1) {
      const opening = connectTo(group.url);
      for (let turn = 0; turn < turns; turn += 1) await systemClock.nextTurn();
      opening.close();
    }
    await until(async () => !(await clients()).includes('user=service'));
  });

  /** The connections of every server. */
  async function clients(): Promise<string> {
    return (await Promise.all(group.servers.map(({ command }) => command('CLIENT LIST')))).join('');
  }
});

describeWithRedis('a connection to a Redis whose primary Sentinels choose', () => {
  let group: RedisGroup;
  beforeEach(async () => {
    group = await startSentinelGroup();
  });
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close();
    await group.close();
  });

  it('uses the new primary after a planned failover', async () => {
    const redis = connectTo(group.url);
    await untilIncremented(redis);
    expect(await group.servers[0]?.command('SENTINEL FAILOVER accounts')).toContain('OK');
    await until(async () => {
      await redis.attempt(() => redis.send('SET', 'after', 'failover'));
      return (await group.replica.command('GET after')).includes('failover');
    });
  });

  it('uses the database that the URL names', async () => {
    await untilIncremented(connectTo(group.url.replace('/accounts', '/accounts/3')));
    expect(await group.primary.command('INFO keyspace')).toContain('db3:keys=1');
  });
});

describeWithRedis('a connection to a Redis that is a cluster', () => {
  let group: RedisGroup;
  let redis: RedisConnection;
  beforeAll(async () => {
    group = await startCluster(KEY);
    redis = connectTo(group.url);
  });
  afterAll(async () => {
    for (const connection of connections.splice(0)) connection.close();
    await group.close();
  });

  it('sends each command to the primary of its key, and scripts to all', async () => {
    const keys = Array.from({ length: 30 }, (_, number) => `key-${number}`);
    for (const key of keys) await untilIncremented(redis, key);
    const digest = await redis.send<string>('SCRIPT', 'LOAD', INCREMENT);
    for (const key of keys) {
      const count = await redis.send<number>('EVALSHA', digest, '1', key);
      expect(await redis.send('GET', key)).toBe(String(count));
    }
    for (const { command } of group.servers) expect(await command('DBSIZE')).not.toBe(':0\r\n');
    expect(failures()).toEqual([]);
  });

  it('follows a slot that is moved to another primary', async () => {
    const source = group.primary;
    const target = group.servers.find((server) => server !== source && server !== group.replica) as RedisServer;
    const slot = (await source.command(`CLUSTER KEYSLOT ${KEY}`)).slice(1).trim();
    await untilIncremented(redis);
    await target.command(`CLUSTER SETSLOT ${slot} IMPORTING ${await nodeId(source)}`);
    await source.command(`CLUSTER SETSLOT ${slot} MIGRATING ${await nodeId(target)}`);
    await untilIncremented(redis);
    await source.command(`MIGRATE 127.0.0.1 ${target.port} ${KEY} 0 5000`);
    await untilIncremented(redis);
    for (const server of [target, source]) await server.command(`CLUSTER SETSLOT ${slot} NODE ${await nodeId(target)}`);
    await untilIncremented(redis);
    const count = await redis.send<string>('GET', KEY);
    expect(Number(count)).toBeGreaterThanOrEqual(4);
    expect(await target.command(`GET ${KEY}`)).toContain(`\r\n${count}\r\n`);
    expect(failures()).toEqual([]);
  });
});

describeWithRedis('a connection with TLS', () => {
  let folder: string;
  let authority: Authority;
  let options: string[];
  const servers: RedisServer[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'redis-tls-'));
    authority = createAuthority(folder, 'private');
    const { certificate, key } = authority.issue('server', ['IP:127.0.0.1']);
    const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', authority.certificate];
    options = [...files, '--tls-auth-clients', 'no', '--tls-replication', 'yes'];
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['a server', startServer],
    ['a primary that Sentinels choose', startSentinels],
    ['a cluster', startNodes],
  ])('to %s trusts only certificates of a known authority', async (_, start) => {
    const url = await start();
    expect(await reply(url, { NODE_EXTRA_CA_CERTS: authority.certificate })).toBe('1\n');
    expect(await reply(url, {})).toMatch(/^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE)\n$/);
  });

  /** Increments a key in a process of its own. Returns its reply, or why there is none. */
  async function reply(url: string, env: Record<string, string>): Promise<string> {
    const args = ['--import', import.meta.resolve('tsx'), projectFile('test/support/redis-call.ts'), url];
    const child = startProcess({ args, env });
    await child.ended;
    return child.stdout();
  }

  async function startServer(): Promise<string> {
    return `rediss://127.0.0.1:${await start((...tls) => startRedis(...tls))}`;
  }

  async function startSentinels(): Promise<string> {
    const port = await start((...tls) => startRedis(...tls));
    return `rediss+sentinel://127.0.0.1:${await start((...tls) => startSentinel(port, ...tls))}/accounts`;
  }

  async function startNodes(): Promise<string> {
    const port = await start((...tls) => startClusterNode(...tls, '--tls-cluster', 'yes'));
    await servers.at(-1)?.command('CLUSTER ADDSLOTSRANGE 0 16383');
    await until(async () => (await servers.at(-1)?.command('CLUSTER INFO'))?.includes('cluster_state:ok'));
    return `rediss+cluster://127.0.0.1:${port}`;
  }

  /** Starts a server that also speaks TLS. Returns the port for TLS. */
  async function start(startServerWith: (...tls: string[]) => Promise<RedisServer>): Promise<number> {
    const port = await closedPort();
    servers.push(await startServerWith('--tls-port', String(port), ...options));
    return port;
  }
});
