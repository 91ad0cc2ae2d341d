import { COVERED_BY_TESTS } from './covered-by-tests.ts';
import type { ScenarioResult } from './scenario.ts';

const HEADINGS = ['Scenario', 'Expected', 'Measured', 'Result'];

/** One result for a terminal. */
export function asText({ scenario, state, measured }: ScenarioResult): string {
  return `${state.padEnd(7)} ${scenario.name}\n          expected: ${scenario.expected}\n          measured: ${measured}\n`;
}

/** All results for the documentation. */
export function asMarkdown(results: ScenarioResult[], setting: string): string {
  const rows = results.map(({ scenario, state, measured }) => [scenario.name, scenario.expected, measured, state]);
  const covered = COVERED_BY_TESTS.map(({ fault, file, title }) => [fault, `[${title}](../${file})`]);
  return `# Fault suite results

Written by \`npm run test:faults -- --markdown docs/faults.md\`: ${setting}. Each scenario runs two replicas of the service on a
real database, with the Intuit simulator and concurrent callers. Losses, statuses and the number of token calls are checked. Latencies
are reported only: they depend on the machine.

${table(HEADINGS, rows)}

## Faults that a test of their own covers

In one process, on each database, with a clock that the test moves:

${table(['Fault', 'Test'], covered)}
`;
}

function table(headings: string[], rows: string[][]): string {
  return [headings, headings.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Formats totals as `N passed, N failed, N skipped`. */
export function totals(results: ScenarioResult[]): string {
  const count = (state: ScenarioResult['state']) => results.filter((result) => result.state === state).length;
  return `${count('passed')} passed, ${count('FAILED')} failed, ${count('skipped')} skipped`;
}
