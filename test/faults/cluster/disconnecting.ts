import type { ServiceProcess } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import type { Measurement } from '../scenario.ts';
import type { Cluster, ClusterNode } from './cluster.ts';
import { tableOn } from './connections.ts';

const CONNECTIONS = 30;

/** Connects organizations, and disconnects each at once through another replica, while one node applies late. */
export async function disconnectAtOnceWhileLate(
  environment: TestEnvironment,
  { nodes: [first, second] }: Cluster,
): Promise<Measurement> {
  let isRunning = true;
  const applyLate = async () => {
    while (isRunning)
      await second?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(0.5)', 'UNLOCK TABLES', 'DO SLEEP(0.2)');
  };
  const late = applyLate();
  try {
    return await disconnectAtOnce(environment, first);
  } finally {
    isRunning = false;
    await late;
  }
}

/**
 * Connects organizations, and disconnects each at once through another replica.
 * @param node whose rows are counted
 */
export async function disconnectAtOnce(
  environment: TestEnvironment,
  node: ClusterNode | undefined,
): Promise<Measurement> {
  const { replicas, simulator } = environment;
  const statuses = new Map<number, number>();
  for (let index = 0; index < CONNECTIONS; index += 1) {
    const [connecting, disconnecting] = index % 2 === 0 ? replicas : [replicas[1], replicas[0]];
    const organization = `left-${index}`;
    const realmId = `93414520000020${String(index).padStart(2, '0')}`; // too long for a number
    await environment.connect({ organization, realmId, replica: connecting });
    const status = await disconnect(disconnecting, organization);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  await until(() => simulator.callsTo('revoke').length >= CONNECTIONS);
  const connected = Number(await node?.value(`SELECT COUNT(*) FROM ${await tableOn(node)} WHERE is_active = 1`));
  const responses = [...statuses].map(([status, count]) => `${status} × ${count}`).join(', ');
  return {
    measured: `still connected: ${connected} of ${CONNECTIONS}; disconnects ${responses}; revocations: ${simulator.callsTo('revoke').length}`,
    checks: {
      'every connection is disconnected': connected === 0,
      'every disconnect succeeds': statuses.get(200) === CONNECTIONS,
    },
  };
}

/** Returns the status of the response. */
export async function disconnect({ origin }: ServiceProcess, organization: string): Promise<number> {
  const { status } = await fetch(`${origin}/api/v1/oauth/quickbooks/disconnect/${organization}`, { method: 'POST' });
  return status;
}
