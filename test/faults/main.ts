import { appendFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { serverVersion } from '../support/own-database.ts';
import { type Process, startProcess } from '../support/processes.ts';
import { runClusterScenarios } from './cluster/run-cluster-scenarios.ts';
import { asText, totals, writeClusterResults, writeServerResults } from './report.ts';
import { runScenarios } from './runner.ts';
import type { ScenarioResult } from './scenario.ts';
import { concurrentChanges } from './scenarios/concurrent-changes.ts';
import { databaseOutages } from './scenarios/database-outages.ts';
import { fullDatabase } from './scenarios/full-database.ts';
import { lateLeases } from './scenarios/late-leases.ts';
import { newGrants } from './scenarios/new-grants.ts';
import { pauses } from './scenarios/pauses.ts';
import { providerOutages } from './scenarios/provider-outages.ts';
import { revokedGrants } from './scenarios/revoked-grants.ts';
import { shutdowns } from './scenarios/shutdowns.ts';
import { slowProvider } from './scenarios/slow-provider.ts';
import { unknownOutcomes } from './scenarios/unknown-outcomes.ts';
import { validTokens } from './scenarios/valid-tokens.ts';

const MAX_CONCURRENT_GROUPS = 8;
/** Beside busy processes, so that this process is not the one that is slow: it is Intuit, too. */
const MAX_CONCURRENT_GROUPS_UNDER_LOAD = 3;

process.setMaxListeners(50); // each child process is killed when this one exits

const SERVERS = [
  process.env['TEST_MYSQL_URL'] ?? 'mysql://root@127.0.0.1:3307/test',
  process.env['TEST_MARIADB_URL'] ?? 'mysql://root@127.0.0.1:3306/test',
];
/** The longest first. */
const GROUPS = [
  ...databaseOutages,
  ...fullDatabase,
  ...newGrants,
  ...pauses,
  ...lateLeases,
  ...providerOutages,
  ...unknownOutcomes,
  ...slowProvider,
  ...shutdowns,
  ...concurrentChanges,
  ...revokedGrants,
  ...validTokens,
];

const interruption = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error('interrupted')));
});
interruption.catch(() => undefined);

const { values } = parseArgs({
  options: {
    cluster: { type: 'boolean', default: false },
    load: { type: 'string', default: '0' },
    markdown: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
if (values.markdown && values.only)
  throw new Error('--markdown replaces the results of all scenarios: not with --only');
const selected = GROUPS.map((group) => ({
  ...group,
  scenarios: group.scenarios.filter(({ name }) => name.includes(values.only)),
})).filter(({ scenarios }) => scenarios.length > 0);

const load = Number(values.load);
const busyProcesses = startBusyProcesses(load);
const startedAt = performance.now();
const onResult = (result: ScenarioResult) => process.stdout.write(asText(result));
const { results, version } = values.cluster
  ? await runClusterScenarios({ only: values.only, interruption, onResult })
  : await runOnServer();
await Promise.all(busyProcesses.map(({ kill }) => kill('SIGKILL')));
const duration = Math.round((performance.now() - startedAt) / 1000);
const busy = load > 0 ? `, ${load} busy processes beside it` : '';
const setting = `Node ${process.version}, ${version ?? 'no database'}, ${cpus().length} cores${busy}, ${duration} s`;
const writeResults = values.cluster ? writeClusterResults : writeServerResults;
if (values.markdown) await writeResults(values.markdown, results, setting);
process.stdout.write(`${setting}\n${totals(results)}\n`);
if (process.env['TEST_SUMMARY_FILE']) await appendFile(process.env['TEST_SUMMARY_FILE'], `${totals(results)}\n`);
process.exit(results.some(({ state }) => state === 'FAILED') ? 1 : 0);

async function runOnServer() {
  const server = await findServer();
  const maxConcurrentGroups = load > 0 ? MAX_CONCURRENT_GROUPS_UNDER_LOAD : MAX_CONCURRENT_GROUPS;
  const options = { serverUrl: server?.url, maxConcurrentGroups, interruption, onResult };
  const results = await runScenarios(selected, options);
  return { results, version: server?.version };
}

/** Keeps the processor busy, at the priority of the service: a loss then is a fault, a slow response is not. */
function startBusyProcesses(count: number): Process[] {
  return Array.from({ length: count }, () => startProcess({ args: ['-e', 'for (;;);'], env: {} }));
}

/** The first server that can be reached. */
async function findServer(): Promise<{ url: string; version: string } | undefined> {
  for (const url of SERVERS) {
    const version = await serverVersion(url).catch(() => undefined);
    if (version) return { url, version };
  }
  return undefined;
}
