import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import type { Measurement } from '../scenario.ts';
import type { Cluster } from './cluster.ts';

const CONNECTIONS = 30;

/** Connects organizations, and disconnects each at once through another replica, while one node applies late. */
export async function disconnectAtOnce(
  environment: TestEnvironment,
  { nodes: [, second] }: Cluster,
): Promise<Measurement> {
  const { replicas, simulator, knex } = environment;
  let isRunning = true;
  const applyLate = async () => {
    while (isRunning)
      await second?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(0.5)', 'UNLOCK TABLES', 'DO SLEEP(0.2)');
  };
  const late = applyLate();
  const statuses = new Map<number, number>();
  for (let index = 0; index < CONNECTIONS; index += 1) {
    const [connecting, disconnecting] = index % 2 === 0 ? replicas : [replicas[1], replicas[0]];
    const organization = `left-${index}`;
    const realmId = `93414520000020${String(index).padStart(2, '0')}`; // too long for a number
    await environment.connect({ organization, realmId, replica: connecting });
    const { status } = await fetch(`${disconnecting.origin}/api/v1/oauth/quickbooks/disconnect/${organization}`, {
      method: 'POST',
    });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  isRunning = false;
  await late;
  await until(() => simulator.callsTo('revoke').length >= CONNECTIONS);
  const connected = await knex('oauth_tokens').where({ is_active: 1 });
  const responses = [...statuses].map(([status, count]) => `${status} × ${count}`).join(', ');
  return {
    measured: `still connected: ${connected.length} of ${CONNECTIONS}; disconnects ${responses}; revocations: ${simulator.callsTo('revoke').length}`,
    checks: {
      'every connection is disconnected': connected.length === 0,
      'every disconnect succeeds': statuses.get(200) === CONNECTIONS,
    },
  };
}
