import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import type { Forwarder } from './forwarder.ts';
import type { Cluster, ClusterNode } from './galera.ts';
import { refreshDuring } from './refreshing.ts';

/** One cluster of its own for each scenario. */
export interface ClusterScenario {
  name: string;
  /** How far each node's wall clock is ahead of the one before. */
  skewSeconds?: number;
  /** True if the host name points to all nodes, not only to the first. */
  isOnAllNodes?: boolean;
  /** Returns figures of its own. */
  fault(cluster: Cluster, forwarder: Forwarder): Promise<string | undefined>;
}

const EXPECTED = 'no connection is lost, no refresh token is sent twice; all are served afterwards';

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
    fault: async ({ nodes: [, second] }) => {
      await second?.run('SET GLOBAL wsrep_desync = ON', 'FLUSH TABLES WITH READ LOCK', 'DO SLEEP(15)', 'UNLOCK TABLES');
      await second?.run('SET GLOBAL wsrep_desync = OFF');
      return undefined;
    },
  },
  {
    name: 'Galera: FLUSH TABLES WITH READ LOCK for 35 s on the node in use',
    fault: async ({ nodes: [first] }) => {
      const locked = first?.run('FLUSH TABLES WITH READ LOCK', 'DO SLEEP(35)', 'UNLOCK TABLES');
      let threads = 0;
      let isLocked = true;
      void locked?.finally(() => {
        isLocked = false;
      });
      while (isLocked) {
        threads = Math.max(threads, (await first?.threads()) ?? 0);
        await delay(1_000);
      }
      await locked;
      return `at most ${threads} threads on the server`;
    },
  },
];

/** The scenario as the fault suite runs it. */
export function toScenario({ name, fault }: ClusterScenario, cluster: Cluster, forwarder: Forwarder): Scenario {
  return {
    name,
    expected: EXPECTED,
    run: (environment) => refreshDuring(environment, () => fault(cluster, forwarder)),
  };
}

function portOf(node: ClusterNode | undefined): number {
  if (!node) throw new Error('the cluster has no such node');
  return node.port;
}
