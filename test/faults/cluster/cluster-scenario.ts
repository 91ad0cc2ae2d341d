import type { TestEnvironment } from '../environment.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import type { Cluster, ClusterOptions } from './cluster.ts';
import type { Forwarder } from './forwarder.ts';
import { refreshDuring } from './refreshing.ts';

/** One cluster of its own for each scenario. */
export type ClusterScenario = { name: string } & ClusterOptions & (Refreshing | Measured);

/** Connections are refreshed during a fault. */
interface Refreshing {
  /** What is expected beside what is of every such scenario. */
  alsoExpected?: string;
  /** Returns figures and checks of its own. */
  fault(cluster: Cluster, forwarder: Forwarder): Promise<Measurement | undefined>;
}

/** Something else is measured. */
interface Measured {
  expected: string;
  measure(environment: TestEnvironment, cluster: Cluster, forwarder: Forwarder): Promise<Measurement>;
}

const EXPECTED = 'no connection is lost, no refresh token is sent twice; all are served afterwards';

/** What the service must do. */
export function expectedOf(scenario: ClusterScenario): string {
  if ('measure' in scenario) return scenario.expected;
  return scenario.alsoExpected ? `${EXPECTED}; ${scenario.alsoExpected}` : EXPECTED;
}

/** The scenario as the fault suite runs it. */
export function toScenario(scenario: ClusterScenario, cluster: Cluster, forwarder: Forwarder): Scenario {
  const run = (environment: TestEnvironment) =>
    'measure' in scenario
      ? scenario.measure(environment, cluster, forwarder)
      : refreshDuring(environment, () => scenario.fault(cluster, forwarder));
  return { name: scenario.name, expected: expectedOf(scenario), run };
}
