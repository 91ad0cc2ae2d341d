import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { type Cluster, type ClusterNode, portOf } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';
import { startMysqlServers } from './mysql-servers.ts';

/** How long the replica receives nothing before the primary is killed. */
const LOST_MS = 5_000;
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
  {
    name: 'asynchronous replica: kill -9 of the primary, whose last 5 s were not replicated; the replica is promoted',
    fault: async ({ nodes: [primary, replica] }, { pointTo }) => {
      await replica?.run('STOP REPLICA IO_THREAD');
      await delay(LOST_MS);
      primary?.signal('SIGKILL');
      await promote(replica);
      pointTo(portOf(replica));
      return undefined;
    },
  },
];

export const semiSynchronousScenarios: ClusterScenario[] = [
  {
    name: 'semi-synchronous replica: kill -9 of the primary, the replica is promoted',
    fault: async ({ nodes: [primary, replica] }, { pointTo }) => {
      await delay(LOST_MS);
      primary?.signal('SIGKILL');
      await promote(replica);
      pointTo(portOf(replica));
      return undefined;
    },
  },
];

/** Applies what the replica has received, and makes it the primary. */
async function promote(replica: ClusterNode | undefined): Promise<void> {
  await replica?.run('STOP REPLICA IO_THREAD');
  await until(async () => (await replica?.value(HAS_APPLIED_ALL)) === 1);
  await replica?.run('STOP REPLICA', 'SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF');
}
