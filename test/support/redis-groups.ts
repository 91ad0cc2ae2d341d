import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisServer, startRedis } from './redis-server.ts';
import { closedPort } from './tcp-relay.ts';
import { until } from './until.ts';

/** Redis servers that replace a primary by its replica. The URL's user is `service`; a test's own commands need none. */
export interface RedisGroup {
  url: string;
  /** The primary that has the replica: of a cluster, one of three. */
  primary: RedisServer;
  replica: RedisServer;
  /** All processes, the Sentinels among them. */
  servers: RedisServer[];
  /** Sends a command to each server that is a primary. Resolves with their responses, joined. */
  command(text: string): Promise<string>;
  /** From now on a primary that does not respond is replaced. Until then it is not, however slow the machine is. */
  detectFailures(): Promise<void>;
  close(): Promise<void>;
}

/** In milliseconds. */
const [NEVER, SOON] = [600_000, 1_000];
/**
 * Sentinels that the machine delays do nothing for 30 s, and choose no replica that has missed its primary for longer than ten
 * times this.
 */
const SENTINELS_SOON = 5_000;
/** Nodes that have not met after this time, because the machine is busy, have given up. */
const MEET_MS = 5_000;

const USER = ['--user', 'service', 'on', '>secret', '~*', '&*', '+@all'];
/** Of the Sentinels, whose user has another password. */
const SENTINEL_USER = ['--user', 'service', 'on', '>sentinels-secret', '~*', '&*', '+@all'];
/** A replica copies its primary at once. */
const DATA = [...USER, '--repl-diskless-sync-delay', '0'];

/** Starts a primary, its replica, and three Sentinels that call the primary `accounts`. */
export async function startSentinelGroup(): Promise<RedisGroup> {
  const primary = await startRedis(...DATA);
  const replica = await startRedis(...DATA, '--replicaof', '127.0.0.1', String(primary.port));
  await until(async () => (await primary.command('INFO replication')).includes('state=online'));
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(primary.port)));
  for (const { command } of sentinels) {
    await until(async () => /status=ok,.*slaves=1,sentinels=3/.test(await command('INFO sentinel')));
  }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join();
  const query = 'sentinel_username=service&sentinel_password=sentinels-secret';
  return groupOf([primary, replica], replica, {
    url: `redis+sentinel://service:secret@${hosts}/accounts?${query}`,
    primary,
    servers: [...sentinels, primary, replica],
    detectFailures: () => toAll(sentinels, `SENTINEL SET accounts down-after-milliseconds ${SENTINELS_SOON}`),
  });
}

/** Starts a Sentinel of a primary. @param options as on its command line */
export async function startSentinel(primaryPort: number, ...options: string[]): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sentinel-'));
  const file = join(folder, 'sentinel.conf'); // which it rewrites
  const settings = [
    `dir ${folder}`,
    `sentinel monitor accounts 127.0.0.1 ${primaryPort} 2`,
    `sentinel down-after-milliseconds accounts ${NEVER}`,
    'sentinel failover-timeout accounts 10000', // a step that takes longer is aborted
  ];
  writeFileSync(file, settings.join('\n'));
  return withFolder(folder, await startRedis(file, '--sentinel', ...SENTINEL_USER, ...options));
}

/** Starts three primaries and one replica, of the primary that has `key`. */
export async function startCluster(key: string): Promise<RedisGroup> {
  const nodes = await Promise.all([0, 1, 2, 3].map(() => startClusterNode(...DATA)));
  const [first, replica] = [nodes[0], nodes[3]] as [RedisServer, RedisServer];
  const primaries = nodes.slice(0, 3);
  for (const [index, { command }] of nodes.entries()) await command(`CLUSTER SET-CONFIG-EPOCH ${index + 1}`);
  const slots = ['0 5460', '5461 10922', '10923 16383'];
  for (const [index, { command }] of primaries.entries()) await command(`CLUSTER ADDSLOTSRANGE ${slots[index]}`);
  const isFormed = (info: string) => /cluster_state:ok.*cluster_known_nodes:4/s.test(info);
  let metAt = Number.NEGATIVE_INFINITY;
  await until(async () => {
    const infos = await Promise.all(nodes.map(({ command }) => command('CLUSTER INFO')));
    if (infos.every(isFormed)) return true;
    if (performance.now() - metAt < MEET_MS) return false;
    metAt = performance.now();
    for (const { port, busPort } of nodes.slice(1)) await first.command(`CLUSTER MEET 127.0.0.1 ${port} ${busPort}`);
    return false;
  });
  await toAll(nodes, `CONFIG SET cluster-node-timeout ${NEVER}`);
  for (const { command } of nodes) await until(async () => isFormed(await command('CLUSTER INFO')));
  const slot = Number((await first.command(`CLUSTER KEYSLOT ${key}`)).slice(1));
  const primary = primaries[Math.floor(slot / 5461)] as RedisServer;
  const id = await nodeId(primary);
  await replica.command(`CLUSTER REPLICATE ${id}`);
  await until(async () => (await primary.command('INFO replication')).includes('state=online'));
  for (const { command } of nodes) {
    await until(async () => (await command('CLUSTER NODES')).includes(`slave ${id}`));
  }
  return groupOf(nodes, replica, {
    url: `redis+cluster://service:secret@${nodes.map(({ port }) => `127.0.0.1:${port}`).join()}`,
    primary,
    servers: nodes,
    detectFailures: () => toAll(nodes, `CONFIG SET cluster-node-timeout ${SOON}`),
  });
}

/** Starts a node, which belongs to no cluster yet. */
export async function startClusterNode(...options: string[]): Promise<RedisServer & { busPort: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-'));
  const busPort = await closedPort();
  const settings = [
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    String(busPort),
    '--cluster-node-timeout',
    String(SOON),
    '--cluster-replica-validity-factor',
    '0', // however long it has missed its primary
  ];
  const node = await startRedis(...settings, '--cluster-announce-ip', '127.0.0.1', '--dir', folder, ...options);
  return { ...withFolder(folder, node), busPort };
}

/** The ID of a cluster's node. */
export async function nodeId({ command }: RedisServer): Promise<string> {
  return (await command('CLUSTER MYID')).split('\r\n')[1] ?? '';
}

function groupOf(
  nodes: RedisServer[],
  replica: RedisServer,
  { servers, ...group }: Omit<RedisGroup, 'replica' | 'command' | 'close'>,
): RedisGroup {
  return {
    ...group,
    replica,
    servers,
    command: async (text) => {
      const responses = nodes.map(async ({ command }) => {
        const role = await command('ROLE').catch(() => '');
        return role.includes('master') ? command(text) : '';
      });
      return (await Promise.all(responses)).join('');
    },
    close: async () => {
      for (const server of servers) server.thaw();
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

async function toAll(servers: RedisServer[], command: string): Promise<void> {
  for (const server of servers) await server.command(command);
}

/** Deletes the folder with the server. */
function withFolder(folder: string, server: RedisServer): RedisServer {
  const close = async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...server, close };
}
