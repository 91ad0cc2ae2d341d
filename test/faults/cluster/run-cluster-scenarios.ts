import { access } from 'node:fs/promises';
import { runScenarios } from '../runner.ts';
import type { ScenarioResult } from '../scenario.ts';
import type { Cluster, ClusterOptions } from './cluster.ts';
import { type ClusterScenario, toScenario } from './cluster-scenario.ts';
import { startForwarder } from './forwarder.ts';
import { FAKETIME, galera, galeraClocks, galeraMigrations, missingForGalera, startGalera } from './galera.ts';
import { groupReplication, startGroup } from './group-replication.ts';
import { missingForMysql } from './mysql-servers.ts';
import { nodeScenarios } from './node-scenarios.ts';
import { asynchronousScenarios, semiSynchronousScenarios, startPair } from './replication-pair.ts';

interface RunOptions {
  /** Part of the names of the scenarios to run. */
  only: string;
  interruption: Promise<never>;
  onResult: (result: ScenarioResult) => void;
}

/** A way to replicate, and what can fail in it. */
interface Kind {
  start(options: ClusterOptions): Promise<Cluster>;
  /** What is missing to start it. */
  missing(): Promise<string | undefined>;
  scenarios: ClusterScenario[];
}

const KINDS: Kind[] = [
  {
    start: startGalera,
    missing: missingForGalera,
    scenarios: [...nodeScenarios(galera), galeraClocks, galeraMigrations],
  },
  { start: startGroup, missing: missingForMysql, scenarios: nodeScenarios(groupReplication) },
  { start: () => startPair(false), missing: missingForMysql, scenarios: asynchronousScenarios },
  { start: () => startPair(true), missing: missingForMysql, scenarios: semiSynchronousScenarios },
];

/** Runs the scenarios one after the other, each on a cluster of its own. Returns the results, and the databases' versions. */
export async function runClusterScenarios({ only, interruption, onResult }: RunOptions) {
  const results: ScenarioResult[] = [];
  const versions = new Set<string>();
  const options = {
    interruption,
    onResult: (result: ScenarioResult) => {
      results.push(result);
      onResult(result);
    },
  };
  for (const kind of KINDS) {
    for (const scenario of kind.scenarios.filter(({ name }) => name.includes(only))) {
      const reason = (await kind.missing()) ?? (await missingClock(scenario));
      const version = reason ? undefined : await runOnCluster(kind, scenario, options);
      if (reason) options.onResult(withoutRun(scenario, 'skipped', reason));
      if (version) versions.add(version);
    }
  }
  return { results, version: [...versions].join(', ') };
}

async function runOnCluster(
  { start }: Kind,
  scenario: ClusterScenario,
  options: Omit<RunOptions, 'only'>,
): Promise<string | undefined> {
  const forwarder = await startForwarder();
  const starting = start(scenario);
  try {
    const cluster = await Promise.race([starting, options.interruption]);
    const ports = cluster.nodes.map(({ port }) => port);
    forwarder.pointTo(...(scenario.isOnAllNodes ? ports : ports.slice(0, 1)));
    const serverUrl = `mysql://root@127.0.0.1:${forwarder.port}/`;
    await runScenarios([{ scenarios: [toScenario(scenario, cluster, forwarder)] }], {
      ...options,
      serverUrl,
      maxConcurrentGroups: 1,
    });
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
