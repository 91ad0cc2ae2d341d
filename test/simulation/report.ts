import { UNAVOIDABLE_CAUSES } from './loss-classifier.ts';
import type { Recorder } from './recorder.ts';
import type { RunSize } from './schedule.ts';
import { hasExpectedReason, isAvoidable, type Totals, totalsOf } from './totals.ts';

/** The same events with both implementations. */
export interface Comparison {
  title: string;
  size: RunSize;
  service: Recorder;
  naive: Recorder;
}

/** How the names of counted events begin among the totals. */
const EVENT = 'event: ';
const HEADINGS = ['', 'this service', 'naive implementation'];

/** The figures of one or more runs, by name. */
export function figures(totals: Totals): [string, string][] {
  const get = (name: string) => totals[name] ?? 0;
  const avoidable = get('lost: avoidable');
  const row = (heading: string, name: string): [string, string] => [heading, format(get(name))];
  const unavoidable = get('losses') - avoidable;
  const hours = get('hoursUntilReported') / get('lost: revoked in QuickBooks');
  const events = Object.keys(totals).filter((name) => name.startsWith(EVENT));
  return [
    row('connection-days', 'connectionDays'),
    row('token calls', 'tokenCalls'),
    row('successful refreshes', 'refreshes'),
    row('connections lost', 'losses'),
    ['**avoidable losses**', `**${format(avoidable)}**`],
    ['**… per million connection-days**', `**${format((avoidable / get('connectionDays')) * 1_000_000)}**`],
    ['unavoidable losses', format(unavoidable)],
    ...UNAVOIDABLE_CAUSES.map((cause) => row(`… ${cause}`, `lost: ${cause}`)),
    row('… with the correct reason', 'correctReasons'),
    ['mean hours until a revocation in QuickBooks was reported', Number.isFinite(hours) ? format(hours) : '–'],
    row('recovered after a false rejection', 'recoveries'),
    row('successful requests', 'succeededRequests'),
    row('failed requests', 'failedRequests'),
    ...events.toSorted().map((name) => row(name.slice(EVENT.length), name)),
  ];
}

/** A comparison for a terminal. */
export function asText(comparison: Comparison): string {
  const lines = rowsOf(comparison).map((row) => {
    const [name = '', ...numbers] = row.map((cell) => cell.replaceAll('**', ''));
    return name.padEnd(48) + numbers.map((number) => number.padStart(22)).join('');
  });
  return [comparison.title, ...lines].join('\n');
}

/** What is needed to investigate avoidable losses, wrong reasons and errors. */
export function failureDetails({ losses, errors }: Recorder): string {
  const failures = losses.filter((loss) => isAvoidable(loss) || !hasExpectedReason(loss));
  const details = failures.map(({ organizationId, at, reason, classification, history }) =>
    [
      `connection ${organizationId}, lost ${new Date(at).toISOString()} as ${reason}: ${classification.cause}`,
      `expected: ${classification.expectedReasons.join(', ')}; ${classification.explanation}`,
      ...history,
    ].join('\n  '),
  );
  return [...details, ...errors].join('\n\n');
}

/** The comparisons for the documentation. */
export function asMarkdown(comparisons: Comparison[], seconds: number): string {
  const [first, last] = [comparisons[0], comparisons.at(-1)] as [Comparison, Comparison];
  const { seed, replicas, connections, days } = first.size;
  const setting = `Seed ${seed}, ${replicas} replicas, ${connections} connections (${last.size.connections} with a grace period), ${days} days; Node ${process.version}, ${seconds} s.`;
  const tables = comparisons.map((comparison) => `### ${comparison.title}\n\n${asTable(rowsOf(comparison))}`);
  return [setting, '', ...tables].join('\n');
}

/** A table whose first row is its heading. */
export function asTable([headings = [], ...rows]: string[][]): string {
  const alignment = headings.map((_, column) => (column === 0 ? '---' : '---:'));
  return [headings, alignment, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** The naive implementation records no reasons. */
function rowsOf({ service, naive }: Comparison): string[][] {
  const others = new Map(figures(totalsOf(naive)));
  const other = (name: string) => (name.includes('reason') ? '–' : (others.get(name) ?? '0'));
  return [HEADINGS, ...figures(totalsOf(service)).map(([name, value]) => [name, value, other(name)])];
}

function format(number: number): string {
  return Math.round(number).toLocaleString('en');
}
