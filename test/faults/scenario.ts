import type { TestEnvironment } from './environment.ts';
import type { EnvironmentOptions } from './start-environment.ts';

/** Scenarios that run one after the other in one environment. */
export interface ScenarioGroup {
  options?: EnvironmentOptions;
  /** True if no other group may run at the same time, because latencies are measured. */
  isExclusive?: boolean;
  scenarios: Scenario[];
}

/** One fault, and what the service must do about it. */
export interface Scenario {
  name: string;
  expected: string;
  run(environment: TestEnvironment): Promise<Measurement>;
}

export interface Measurement {
  /** The figures of the run. Durations are reported here and never checked: they depend on the machine. */
  measured: string;
  /** Conditions that must hold, by name. */
  checks: Record<string, boolean>;
}

export interface ScenarioResult {
  scenario: Scenario;
  state: 'passed' | 'FAILED' | 'skipped';
  measured: string;
}
