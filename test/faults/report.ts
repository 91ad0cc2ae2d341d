import { readFile, writeFile } from 'node:fs/promises';
import { COVERED_BY_TESTS } from './covered-by-tests.ts';
import type { ScenarioResult } from './scenario.ts';

const HEADINGS = ['Scenario', 'Expected', 'Measured', 'Result'];

/** One result for a terminal. */
export function asText({ scenario, state, measured }: ScenarioResult): string {
  return `${state.padEnd(7)} ${scenario.name}\n          expected: ${scenario.expected}\n          measured: ${measured}\n`;
}

type Part = 'server' | 'cluster';

/** Where the part about clusters starts in the file. */
const CLUSTER_HEADING = '## Database clusters';

/** Writes the results of one part into the documentation, and keeps the other part as it is. */
export async function writeMarkdown(
  path: string,
  part: Part,
  results: ScenarioResult[],
  setting: string,
): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const start = text.indexOf(CLUSTER_HEADING);
  const parts = start < 0 ? [text, ''] : [text.slice(0, start), text.slice(start)];
  if (part === 'server') parts[0] = asMarkdown(results, setting);
  else parts[1] = asClusterMarkdown(results, setting);
  await writeFile(
    path,
    `${parts
      .map((each) => each?.trimEnd())
      .join('\n\n')
      .trim()}\n`,
  );
}

function asMarkdown(results: ScenarioResult[], setting: string): string {
  const covered = COVERED_BY_TESTS.map(({ fault, file, title }) => [fault, `[${title}](../${file})`]);
  return `# Fault suite results

Written by \`npm run test:faults -- --markdown docs/faults.md\`: ${setting}. Each scenario runs two replicas of the service on a
real database, with the Intuit simulator and concurrent callers; \`--load N\` keeps N more processes busy. Losses, statuses and the number of token calls are checked. Latencies
are reported only: they depend on the machine.

${table(HEADINGS, toRows(results))}

## Faults that a test of their own covers

In one process, on each database, with a clock that the test moves:

${table(['Fault', 'Test'], covered)}

Months of outages, crashes, pauses and deployments are [simulated](simulation.md). A replica that is pinned to one node of a
cluster loses with it what it has not saved: [never pin a replica to a node](operations/database-clusters.md).
`;
}

function asClusterMarkdown(results: ScenarioResult[], setting: string): string {
  return `${CLUSTER_HEADING}

Written by \`npm run test:faults -- --cluster --markdown docs/faults.md\`: ${setting}. Each
scenario starts servers of its own on one machine. Unless it says otherwise, two replicas refresh 24 connections once per second, until each was refreshed
again after the fault.

Statements are slow on their way back: the database has executed them before the replica
knows. With 3 s more, a lease is acquired too late to be used; with 6 s, its outcome is unknown. Three nodes that are used at once
are, with Group Replication, in multi-primary mode.

${table(HEADINGS, toRows(results))}
`;
}

function toRows(results: ScenarioResult[]): string[][] {
  return results.map(({ scenario, state, measured }) => [scenario.name, scenario.expected, measured, state]);
}

function table(headings: string[], rows: string[][]): string {
  return [headings, headings.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Formats totals as `N passed, N failed, N skipped`. */
export function totals(results: ScenarioResult[]): string {
  const count = (state: ScenarioResult['state']) => results.filter((result) => result.state === state).length;
  return `${count('passed')} passed, ${count('FAILED')} failed, ${count('skipped')} skipped`;
}
