import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import { seconds } from '../measurements.ts';
import type { Measurement } from '../scenario.ts';
import { type Cluster, type ClusterNode, portOf } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';
import { connectBefore } from './connecting.ts';
import { disconnect, disconnectAtOnce } from './disconnecting.ts';
import type { Forwarder } from './forwarder.ts';
import { startMysqlServers } from './mysql-servers.ts';
import { confirmNothing, MAX_THREADS } from './unconfirmed-commits.ts';

/** How long connections are refreshed before the primary fails; an asynchronous replica receives nothing meanwhile. */
const BEFORE_MS = 5_000;
/** How long the host name still points to the old primary after the replica was promoted. */
const MOVE_AFTER_MS = 2_000;
/** What connections to the old primary are given: longer than a pool uses one, or keeps an idle one. */
const LEAVE_MS = 60_000;
/** How long a connection is used, with some time for a busy machine. */
const MAX_AGE_MS = 45_000;
const FOREVER_MS = 4_294_967_295;
const SEMI_SYNCHRONOUS = [
  '--plugin-load-add=semisync_source.so',
  '--plugin-load-add=semisync_replica.so',
  '--loose-rpl-semi-sync-replica-enabled=ON',
  '--loose-rpl-semi-sync-source-wait-point=AFTER_SYNC',
  `--loose-rpl-semi-sync-source-timeout=${FOREVER_MS}`,
];
/** Of the primary alone: once promoted, the replica has none of its own that it could wait for. */
const WAITS_FOR_REPLICA = '--loose-rpl-semi-sync-source-enabled=ON';
const HAS_APPLIED_ALL = `SELECT GTID_SUBSET(RECEIVED_TRANSACTION_SET, @@global.gtid_executed)
  FROM performance_schema.replication_connection_status`;
const CLIENTS = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB LIKE 'test%'";

/** Starts a primary of MySQL with one replica, which is read-only. */
export async function startPair(isSemiSynchronous: boolean): Promise<Cluster> {
  const cluster = await startMysqlServers(2, async (index) => {
    if (!isSemiSynchronous) return [];
    return index === 0 ? [...SEMI_SYNCHRONOUS, WAITS_FOR_REPLICA] : SEMI_SYNCHRONOUS;
  });
  const [primary, replica] = cluster.nodes;
  try {
    await primary?.run('RESET BINARY LOGS AND GTIDS');
    await replica?.run(
      'RESET BINARY LOGS AND GTIDS',
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${portOf(primary)}, SOURCE_USER = 'root',
        SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1`,
      'START REPLICA',
      'SET GLOBAL super_read_only = ON',
    );
    const kind = isSemiSynchronous ? 'a semi-synchronous pair' : 'an asynchronous pair';
    return { ...cluster, version: `${kind} (${cluster.version})` };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

export const asynchronousScenarios: ClusterScenario[] = [
  plannedSwitch('asynchronous'),
  {
    name: 'asynchronous replica: after a planned switch, connected through one replica, and disconnected at once through another, which has used only the old primary',
    expected: 'every connection is disconnected, and its grant revoked',
    measure: disconnectAfterSwitch,
  },
  {
    name: 'asynchronous replica: after a planned switch, connected through one replica, while another only reads, on connections to the old primary',
    expected: `the other reports it as connected after ${MAX_AGE_MS / 1000} s at the latest`,
    measure: readAfterSwitch,
  },
  {
    name: 'asynchronous replica: kill -9 of the primary, whose last 5 s were not replicated; the replica is promoted',
    fault: async ({ nodes: [primary, replica] }, { pointTo }) => {
      await replica?.run('STOP REPLICA IO_THREAD');
      await delay(BEFORE_MS);
      primary?.signal('SIGKILL');
      await promote(replica);
      pointTo(portOf(replica));
      return undefined;
    },
  },
  {
    name: 'asynchronous replica: kill -9 of the primary, after 24 organizations connected, and 12 were refreshed, of which nothing was replicated; the replica is promoted',
    expected: 'each is connected once, no refresh token is sent twice; all are served afterwards',
    measure: async (environment, { nodes: [primary, replica] }, forwarder) => {
      await replica?.value(
        `SELECT WAIT_FOR_EXECUTED_GTID_SET('${await primary?.value('SELECT @@global.gtid_executed')}')`,
      );
      await replica?.run('STOP REPLICA IO_THREAD');
      return connectBefore(environment, forwarder, async () => {
        primary?.signal('SIGKILL');
        await promote(replica);
        return replica;
      });
    },
  },
];

export const semiSynchronousScenarios: ClusterScenario[] = [
  plannedSwitch('semi-synchronous'),
  {
    name: 'semi-synchronous replica: kill -9 of the primary, the replica is promoted',
    fault: async ({ nodes: [primary, replica] }, { pointTo }) => {
      await delay(BEFORE_MS);
      primary?.signal('SIGKILL');
      await promote(replica);
      pointTo(portOf(replica));
      return undefined;
    },
  },
  {
    name: 'semi-synchronous replica: it confirms no commit for 60 s, while 150 connections are to be refreshed',
    expected: `no connection is lost, no refresh token is sent twice, each status is read, at most ${MAX_THREADS} connections to the primary; all are served afterwards`,
    measure: confirmNothing,
  },
];

function plannedSwitch(kind: string): ClusterScenario {
  return {
    name: `${kind} replica: a planned switch: the primary is made read-only, the replica promoted, and the host name moves 2 s later`,
    alsoExpected: 'no connection to the old primary remains open',
    fault: switchOver,
  };
}

async function disconnectAfterSwitch(
  environment: TestEnvironment,
  cluster: Cluster,
  { pointTo }: Forwarder,
): Promise<Measurement> {
  const { nodes } = cluster;
  for (const replica of environment.replicas) await disconnect(replica, 'none'); // opens a connection
  await delay(BEFORE_MS); // until its worker has opened those that it needs
  await demote(cluster);
  pointTo(portOf(nodes[1]));
  return disconnectAtOnce(environment, nodes[1]);
}

async function readAfterSwitch(
  environment: TestEnvironment,
  cluster: Cluster,
  { pointTo }: Forwarder,
): Promise<Measurement> {
  const [writing, reading] = environment.replicas;
  const isConnected = async () => {
    const response = await fetch(`${reading.origin}/api/v1/oauth/quickbooks/status/org`);
    const { connected } = (await response.json()) as { connected: boolean };
    return connected;
  };
  await isConnected(); // opens a connection
  await delay(BEFORE_MS); // until its worker has opened those that it needs
  await demote(cluster);
  pointTo(portOf(cluster.nodes[1]));
  await environment.connect({ replica: writing });
  const connectedAt = performance.now();
  await until(isConnected);
  const ageMs = performance.now() - connectedAt;
  return { measured: `after ${seconds(ageMs)}`, checks: { 'it is reported in time': ageMs < MAX_AGE_MS } };
}

async function switchOver(cluster: Cluster, { pointTo }: Forwarder): Promise<Measurement> {
  const [primary, replica] = cluster.nodes;
  await delay(BEFORE_MS);
  await demote(cluster);
  await delay(MOVE_AFTER_MS);
  const countClients = async () => Number(await primary?.value(CLIENTS));
  const before = await countClients();
  pointTo(portOf(replica));
  const movedAt = performance.now();
  let after = before;
  while (after > 0 && performance.now() - movedAt < LEAVE_MS) {
    await delay(100);
    after = await countClients();
  }
  return {
    measured: `connections to the old primary: ${before} before the move, ${after} ${seconds(performance.now() - movedAt)} after it`,
    checks: { 'no connection to the old primary remains': after === 0 },
  };
}

/** Makes the primary read-only, and the replica the primary once it has applied everything. */
async function demote({ nodes: [primary, replica] }: Cluster): Promise<void> {
  await primary?.run('SET GLOBAL super_read_only = ON');
  const committed = await primary?.value('SELECT @@global.gtid_executed');
  await replica?.value(`SELECT WAIT_FOR_EXECUTED_GTID_SET('${committed}')`);
  await promote(replica);
}

/** Applies what the replica has received, and makes it the primary. */
async function promote(replica: ClusterNode | undefined): Promise<void> {
  await replica?.run('STOP REPLICA IO_THREAD');
  await until(async () => (await replica?.value(HAS_APPLIED_ALL)) === 1);
  await replica?.run('STOP REPLICA', 'SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF');
}
