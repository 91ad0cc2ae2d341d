import type { TestEnvironment } from '../environment.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import type { Cluster, ClusterOptions } from './cluster.ts';
import type { Forwarder } from './forwarder.ts';
import { refreshDuring } from './refreshing.ts';

/** One cluster of its own for each scenario. */
export type ClusterScenario = { name: string } & ClusterOptions & (Refreshing | Measured);

/** Connections are refreshed during a fault. */
interface Refreshing {
  /** Returns figures of its own. */
  fault(cluster: Cluster, forwarder: Forwarder): Promise<string | undefined>;
}

/** Something else is measured. */
interface Measured {
  expected: string;
  measure(environment: TestEnvironment, cluster: Cluster, forwarder: Forwarder): Promise<Measurement>;
}

/** The scenario as the fault suite runs it. */
export function toScenario(scenario: ClusterScenario, cluster: Cluster, forwarder: Forwarder): Scenario {
  const { name } = scenario;
  if ('measure' in scenario) {
    const { expected } = scenario;
    return { name, expected, run: (environment) => scenario.measure(environment, cluster, forwarder) };
  }
  return {
    name,
    expected: 'no connection is lost, no refresh token is sent twice; all are served afterwards',
    run: (environment) => refreshDuring(environment, () => scenario.fault(cluster, forwarder)),
  };
}
