import { access } from 'node:fs/promises';
import { runScenarios } from '../runner.ts';
import type { ScenarioResult } from '../scenario.ts';
import { startForwarder } from './forwarder.ts';
import { FAKETIME, missingForGalera, startGalera } from './galera.ts';
import { type ClusterScenario, galeraScenarios, toScenario } from './galera-scenarios.ts';

interface RunOptions {
  /** Part of the names of the scenarios to run. */
  only: string;
  interruption: Promise<never>;
  onResult: (result: ScenarioResult) => void;
}

/** Runs the scenarios one after the other, each on a cluster of its own. Returns the results, and the database's version. */
export async function runClusterScenarios({ only, interruption, onResult }: RunOptions) {
  const results: ScenarioResult[] = [];
  let version: string | undefined;
  const options = {
    interruption,
    onResult: (result: ScenarioResult) => {
      results.push(result);
      onResult(result);
    },
  };
  const missing = await missingForGalera();
  for (const scenario of galeraScenarios.filter(({ name }) => name.includes(only))) {
    const reason = missing ?? (await missingClock(scenario));
    if (reason) options.onResult(withoutRun(scenario, 'skipped', reason));
    else version = (await runOnCluster(scenario, options)) ?? version;
  }
  return { results, version };
}

async function runOnCluster(scenario: ClusterScenario, options: Omit<RunOptions, 'only'>): Promise<string | undefined> {
  const forwarder = await startForwarder();
  const starting = startGalera(scenario.skewSeconds);
  try {
    const cluster = await Promise.race([starting, options.interruption]);
    const ports = cluster.nodes.map(({ port }) => port);
    forwarder.pointTo(...(scenario.isOnAllNodes ? ports : ports.slice(0, 1)));
    const serverUrl = `mysql://root@127.0.0.1:${forwarder.port}/`;
    await runScenarios([{ scenarios: [toScenario(scenario, cluster, forwarder)] }], { ...options, serverUrl });
    return cluster.version;
  } catch (error) {
    options.onResult(withoutRun(scenario, 'FAILED', `the cluster failed: ${error}`));
    return undefined;
  } finally {
    forwarder.close();
    await starting.then(({ close }) => close()).catch(() => undefined);
  }
}

async function missingClock({ skewSeconds }: ClusterScenario): Promise<string | undefined> {
  if (!skewSeconds) return undefined;
  return access(FAKETIME).then(
    () => undefined,
    () => 'libfaketime is not installed',
  );
}

function withoutRun({ name }: ClusterScenario, state: ScenarioResult['state'], measured: string): ScenarioResult {
  return { scenario: { name, expected: '–', run: () => Promise.reject(new Error(measured)) }, state, measured };
}
