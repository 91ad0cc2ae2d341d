import { writeSection } from '../support/documentation.ts';
import { COVERED_BY_TESTS } from './covered-by-tests.ts';
import type { ScenarioResult } from './scenario.ts';

const HEADINGS = ['Scenario', 'Expected', 'Measured', 'Result'];
const COVERED_INTRODUCTION = 'In one process, on each database, with a clock that the test moves:';

/** One result for a terminal. */
export function asText({ scenario, state, measured }: ScenarioResult): string {
  return `${state.padEnd(7)} ${scenario.name}\n          expected: ${scenario.expected}\n          measured: ${measured}\n`;
}

/** Writes the results of a run on one server into their sections of the documentation. */
export async function writeServerResults(file: string, results: ScenarioResult[], setting: string): Promise<void> {
  const covered = COVERED_BY_TESTS.map(({ fault, file, title }) => [fault, `[${title}](../${file})`]);
  await writeSection(file, 'Results', `${setting}.\n\n${table(HEADINGS, toRows(results))}`);
  await writeSection(
    file,
    'Faults that a test of their own covers',
    `${COVERED_INTRODUCTION}\n\n${table(['Fault', 'Test'], covered)}`,
  );
}

/** Writes the results of a run on database clusters into their section of the documentation. */
export async function writeClusterResults(file: string, results: ScenarioResult[], setting: string): Promise<void> {
  await writeSection(file, 'Database clusters: results', `${setting}.\n\n${table(HEADINGS, toRows(results))}`);
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
