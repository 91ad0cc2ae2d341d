import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { TestEnvironment } from '../environment.ts';
import type { Measurement } from '../scenario.ts';
import { type Cluster, type ClusterNode, portOf } from './cluster.ts';
import type { ClusterScenario } from './cluster-scenario.ts';

const THREADS = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Threads_connected'";

export const galeraScenarios: ClusterScenario[] = [
  {
    name: 'Galera: the node in use is taken out of service, the host name moves to another',
    fault: async ({ nodes: [first, second] }, { pointTo }) => {
      pointTo(portOf(second));
      await first?.run('SET GLOBAL wsrep_reject_queries = ALL');
      return undefined;
    },
  },
  {
    name: 'Galera: kill -9 of the node in use, the host name moves to another',
    fault: async ({ nodes: [first, second] }, { pointTo }) => {
      first?.signal('SIGKILL');
      pointTo(portOf(second));
      return undefined;
    },
  },
  {
    name: 'Galera: the node in use has no quorum for 10 s',
    fault: async ({ nodes: [first] }) => {
      await first?.run("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'");
      await delay(10_000);
      await first?.run("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'");
      return undefined;
    },
  },
  {
    name: 'Galera: connections to three nodes whose clocks are 30 s apart',
    skewSeconds: 30,
    isOnAllNodes: true,
    fault: async () => void (await delay(20_000)),
  },
  {
    name: 'Galera: connections to three nodes, one applies nothing for 15 s',
    isOnAllNodes: true,
    fault: async ({ nodes: [, second, third] }) => {
      const late = second?.run(
        'SET GLOBAL wsrep_desync = ON',
        'FLUSH TABLES WITH READ LOCK',
        'DO SLEEP(15)',
        'UNLOCK TABLES',
        'SET GLOBAL wsrep_desync = OFF',
      );
      let isLate = true;
      const onEnd = () => {
        isLate = false;
      };
      late?.then(onEnd, onEnd);
      while (isLate) await Promise.all([third?.run(await expiryOn(third)), delay(1_000)]); // what the suite expires may wait
      await late;
      return undefined;
    },
  },
  {
    name: 'Galera: connected on one of three nodes, and disconnected at once on another, while one applies late',
    isOnAllNodes: true,
    expected: 'every connection is disconnected, and its grant revoked',
    measure: disconnectAtOnce,
  },
  {
    name: 'Galera: FLUSH TABLES WITH READ LOCK for 35 s on the node in use',
    fault: async ({ nodes: [first] }) => {
      const locked = first?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(35)', 'UNLOCK TABLES');
      let threads = 0;
      let isLocked = true;
      const onEnd = () => {
        isLocked = false;
      };
      locked?.then(onEnd, onEnd);
      while (isLocked) {
        threads = Math.max(threads, Number(await first?.value(THREADS)));
        await delay(1_000);
      }
      await locked;
      return `at most ${threads} threads on the server`;
    },
  },
];

/** The statement that lets all access tokens expire, for one node. */
async function expiryOn(node: ClusterNode): Promise<string> {
  const database = await node.value(
    "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_NAME = 'oauth_tokens'",
  );
  return `UPDATE ${database}.oauth_tokens SET access_token_expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE WHERE is_active = 1`;
}

const DISCONNECTED = 30;

async function disconnectAtOnce(environment: TestEnvironment, { nodes: [, second] }: Cluster): Promise<Measurement> {
  const { replicas, simulator, knex } = environment;
  let isRunning = true;
  const applyLate = async () => {
    while (isRunning)
      await second?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(0.5)', 'UNLOCK TABLES', 'DO SLEEP(0.2)');
  };
  const late = applyLate();
  const statuses = new Map<number, number>();
  for (let index = 0; index < DISCONNECTED; index += 1) {
    const [connecting, disconnecting] = index % 2 === 0 ? replicas : [replicas[1], replicas[0]];
    const organization = `left-${index}`;
    await environment.connect({ organization, realmId: String(9341452000002000 + index), replica: connecting });
    const { status } = await fetch(`${disconnecting.origin}/api/v1/oauth/quickbooks/disconnect/${organization}`, {
      method: 'POST',
    });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  isRunning = false;
  await late;
  await until(() => simulator.callsTo('revoke').length >= DISCONNECTED);
  const connected = await knex('oauth_tokens').where({ is_active: 1 });
  const responses = [...statuses].map(([status, count]) => `${status} × ${count}`).join(', ');
  return {
    measured: `still connected: ${connected.length} of ${DISCONNECTED}; disconnects ${responses}; revocations: ${simulator.callsTo('revoke').length}`,
    checks: {
      'every connection is disconnected': connected.length === 0,
      'every disconnect succeeds': statuses.get(200) === DISCONNECTED,
    },
  };
}
