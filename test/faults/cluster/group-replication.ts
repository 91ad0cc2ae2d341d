import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { closedPort } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';
import { type Cluster, type ClusterNode, type ClusterOperations, type ClusterOptions, portOf } from './cluster.ts';
import { startMysqlServers } from './mysql-servers.ts';

const NODES = 3;
const MEMBERS = 'performance_schema.replication_group_members';
const OWN_STATE = `SELECT MEMBER_STATE FROM ${MEMBERS} WHERE MEMBER_ID = @@server_uuid`;
const UNREACHABLE = `SELECT COUNT(*) FROM ${MEMBERS} WHERE MEMBER_STATE = 'UNREACHABLE'`;
const MULTI_PRIMARY = [
  '--loose-group-replication-single-primary-mode=OFF',
  '--loose-group-replication-enforce-update-everywhere-checks=ON',
];
const PRIMARY = `SELECT MEMBER_PORT FROM ${MEMBERS} WHERE MEMBER_ROLE = 'PRIMARY' AND MEMBER_STATE = 'ONLINE'`;

/** Starts three nodes of MySQL with Group Replication: all accept writes, or only the first. */
export async function startGroup({ isOnAllNodes }: ClusterOptions): Promise<Cluster> {
  const group = randomUUID();
  const addresses: string[] = [];
  for (let index = 0; index < NODES; index += 1) addresses.push(`127.0.0.1:${await closedPort()}`);
  const cluster = await startMysqlServers(NODES, async (index) => [
    '--plugin-load-add=group_replication.so',
    `--loose-group-replication-group-name=${group}`,
    `--loose-group-replication-local-address=${addresses[index]}`,
    `--loose-group-replication-group-seeds=${addresses}`,
    '--loose-group-replication-start-on-boot=OFF',
    ...(isOnAllNodes ? MULTI_PRIMARY : []),
  ]);
  try {
    for (const [index, node] of cluster.nodes.entries()) {
      await node.run(
        'RESET BINARY LOGS AND GTIDS',
        "CHANGE REPLICATION SOURCE TO SOURCE_USER = 'root' FOR CHANNEL 'group_replication_recovery'",
        `SET GLOBAL group_replication_bootstrap_group = ${index === 0 ? 'ON' : 'OFF'}`,
        'START GROUP_REPLICATION',
        'SET GLOBAL group_replication_bootstrap_group = OFF',
      );
      await until(async () => (await node.value(OWN_STATE)) === 'ONLINE');
    }
    return { ...cluster, version: `Group Replication (${cluster.version})` };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

export const groupReplication: ClusterOperations = {
  kind: 'Group Replication',
  switchOver: async ({ nodes: [first, second] }, { pointTo }) => {
    const uuid = await second?.value('SELECT @@server_uuid');
    pointTo(portOf(second));
    await first?.run(`SELECT group_replication_set_as_primary('${uuid}')`);
  },
  failOver: async ({ nodes: [first, ...others] }, { pointTo }) => pointTo(await electedPort(others, portOf(first))),
  loseQuorum: async ({ nodes: [first, ...others] }) => {
    for (const node of others) node.signal('SIGSTOP');
    await until(async () => Number(await first?.value(UNREACHABLE)) === others.length);
    await delay(10_000);
    for (const node of others) node.signal('SIGCONT');
  },
  lag: { before: [], after: [] },
};

async function electedPort([node]: ClusterNode[], previous: number): Promise<number> {
  let port = previous;
  await until(async () => {
    port = Number((await node?.value(PRIMARY)) ?? previous);
    return port !== previous;
  });
  return port;
}
