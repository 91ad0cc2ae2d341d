import { randomUUID } from 'node:crypto';
import { closedPort } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';
import { type Cluster, type ClusterNode, portOf } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';
import { startMysqlServers } from './mysql-servers.ts';

const NODES = 3;
const MEMBERS = 'performance_schema.replication_group_members';
const OWN_STATE = `SELECT MEMBER_STATE FROM ${MEMBERS} WHERE MEMBER_ID = @@server_uuid`;
const PRIMARY = `SELECT MEMBER_PORT FROM ${MEMBERS} WHERE MEMBER_ROLE = 'PRIMARY' AND MEMBER_STATE = 'ONLINE'`;

/** Starts three nodes of MySQL with Group Replication, of which the first accepts writes. */
export async function startGroup(): Promise<Cluster> {
  const group = randomUUID();
  const addresses: string[] = [];
  for (let index = 0; index < NODES; index += 1) addresses.push(`127.0.0.1:${await closedPort()}`);
  const cluster = await startMysqlServers(NODES, async (index) => [
    '--plugin-load-add=group_replication.so',
    `--loose-group-replication-group-name=${group}`,
    `--loose-group-replication-local-address=${addresses[index]}`,
    `--loose-group-replication-group-seeds=${addresses}`,
    '--loose-group-replication-start-on-boot=OFF',
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

export const groupReplicationScenarios: ClusterScenario[] = [
  {
    name: 'Group Replication: a planned switch to another primary, the host name moves with it',
    fault: async ({ nodes: [first, second] }, { pointTo }) => {
      const uuid = await second?.value('SELECT @@server_uuid');
      pointTo(portOf(second));
      await first?.run(`SELECT group_replication_set_as_primary('${uuid}')`);
      return undefined;
    },
  },
  {
    name: 'Group Replication: kill -9 of the primary, the host name moves to the one that the group elects',
    fault: async ({ nodes: [first, ...others] }, { pointTo }) => {
      first?.signal('SIGKILL');
      pointTo(await electedPort(others, portOf(first)));
      return undefined;
    },
  },
];

async function electedPort([node]: ClusterNode[], previous: number): Promise<number> {
  let port = previous;
  await until(async () => {
    port = Number((await node?.value(PRIMARY)) ?? previous);
    return port !== previous;
  });
  return port;
}
