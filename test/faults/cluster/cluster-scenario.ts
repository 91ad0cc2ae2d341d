import type { TestEnvironment } from '../environment.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import type { Cluster } from './cluster.ts';
import type { Forwarder } from './forwarder.ts';
import { refreshDuring } from './refreshing.ts';

/** One cluster of its own for each scenario. */
export type ClusterScenario = Placement & (Refreshing | Measured);

interface Placement {
  name: string;
  /** How far each node's wall clock is ahead of the one before. */
  skewSeconds?: number;
  /** True if the host name points to all nodes, not only to the first. */
  isOnAllNodes?: boolean;
}

/** Connections are refreshed during a fault. */
interface Refreshing {
  /** Returns figures of its own. */
  fault(cluster: Cluster, forwarder: Forwarder): Promise<string | undefined>;
}

/** Something else is measured. */
interface Measured {
  expected: string;
  measure(environment: TestEnvironment, cluster: Cluster): Promise<Measurement>;
}

/** The scenario as the fault suite runs it. */
export function toScenario(scenario: ClusterScenario, cluster: Cluster, forwarder: Forwarder): Scenario {
  const { name } = scenario;
  if ('measure' in scenario) {
    return { name, expected: scenario.expected, run: (environment) => scenario.measure(environment, cluster) };
  }
  return {
    name,
    expected: 'no connection is lost, no refresh token is sent twice; all are served afterwards',
    run: (environment) => refreshDuring(environment, () => scenario.fault(cluster, forwarder)),
  };
}
