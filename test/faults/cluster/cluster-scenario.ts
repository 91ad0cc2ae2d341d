import type { Scenario } from '../scenario.ts';
import type { Cluster } from './cluster.ts';
import type { Forwarder } from './forwarder.ts';
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

/** The scenario as the fault suite runs it. */
export function toScenario({ name, fault }: ClusterScenario, cluster: Cluster, forwarder: Forwarder): Scenario {
  return {
    name,
    expected: 'no connection is lost, no refresh token is sent twice; all are served afterwards',
    run: (environment) => refreshDuring(environment, () => fault(cluster, forwarder)),
  };
}
