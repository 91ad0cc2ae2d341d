import { systemClock } from '../../src/utils/clock.ts';
import { withTimeout } from '../../src/utils/with-timeout.ts';
import { NotInstalledError } from './database-server.ts';
import type { TestEnvironment } from './environment.ts';
import type { Scenario, ScenarioGroup, ScenarioResult } from './scenario.ts';
import { withEnvironment } from './start-environment.ts';

/** Ends a scenario that waits for something that never happens: many times what it takes on a slow machine. */
const TIMEOUT_MS = 300_000;

interface RunOptions {
  /** The database server; undefined if none can be reached. */
  serverUrl: string | undefined;
  /** Groups that run at once. Each has two processes of its own; the simulators and callers of all share this one. */
  maxConcurrentGroups: number;
  /** Rejects when the user interrupts the run. */
  interruption: Promise<never>;
  onResult: (result: ScenarioResult) => void;
}

/** Runs scenario groups concurrently, then the exclusive ones. Returns the results in the order of the scenarios. */
export async function runScenarios(groups: ScenarioGroup[], options: RunOptions): Promise<ScenarioResult[]> {
  const results = new Map<Scenario, ScenarioResult>();
  const run = (group: ScenarioGroup) =>
    runGroup(group, options, (result) => {
      results.set(result.scenario, result);
      options.onResult(result);
    });
  const runPending = async (pending: ScenarioGroup[]) => {
    options.interruption.catch(() => pending.splice(0));
    for (let group = pending.shift(); group; group = pending.shift()) await run(group);
  };
  const concurrent = groups.filter(({ isExclusive }) => !isExclusive);
  await Promise.all(Array.from({ length: options.maxConcurrentGroups }, () => runPending(concurrent)));
  await runPending(groups.filter(({ isExclusive }) => isExclusive));
  return groups.flatMap(({ scenarios }) => scenarios.flatMap((scenario) => results.get(scenario) ?? []));
}

async function runGroup(
  { options = {}, scenarios }: ScenarioGroup,
  { serverUrl, interruption }: RunOptions,
  onResult: (result: ScenarioResult) => void,
): Promise<void> {
  const remaining = [...scenarios];
  const end = (state: ScenarioResult['state'], measured: string) => {
    for (const scenario of remaining.splice(0)) onResult({ scenario, state, measured });
  };
  if (!serverUrl) return end('skipped', 'neither MySQL nor MariaDB can be reached: set TEST_MYSQL_URL');
  try {
    await withEnvironment(options, serverUrl, async (environment) => {
      for (const scenario of scenarios) {
        await environment.reset();
        const result = await runScenario(scenario, environment, interruption);
        remaining.shift();
        onResult(result);
      }
    });
  } catch (error) {
    if (error instanceof NotInstalledError) end('skipped', error.message);
    else end('FAILED', `the environment failed: ${error}`);
  }
}

async function runScenario(
  scenario: Scenario,
  environment: TestEnvironment,
  interruption: Promise<never>,
): Promise<ScenarioResult> {
  try {
    const { measured, checks } = await withTimeout(Promise.race([scenario.run(environment), interruption]), {
      clock: systemClock,
      timeoutMs: TIMEOUT_MS,
      onTimeout: () => new Error(`did not finish within ${TIMEOUT_MS / 1000} s: ${environment.summary()}`),
    });
    const { internalErrors } = environment;
    const failed = Object.keys(checks).filter((name) => !checks[name]);
    if (internalErrors.length > 0) failed.push(`no internal error is logged, but ${internalErrors[0]}`);
    if (failed.length === 0) return { scenario, state: 'passed', measured };
    return { scenario, state: 'FAILED', measured: `${measured}. Failed: ${failed.join('; ')}` };
  } catch (error) {
    return { scenario, state: 'FAILED', measured: String(error) };
  }
}
