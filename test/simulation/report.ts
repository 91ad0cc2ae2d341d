import { UNAVOIDABLE_CAUSES } from './loss-classifier.ts';
import type { Loss, Recorder } from './recorder.ts';
import type { RunSize } from './schedule.ts';
import { DAY } from './virtual-time.ts';

/** The same events with both implementations. */
export interface Comparison {
  title: string;
  size: RunSize;
  service: Recorder;
  naive: Recorder;
}

const HEADINGS = ['', 'this service', 'naive implementation'];

export function isAvoidable({ classification }: Loss): boolean {
  return classification.cause === 'avoidable';
}

export function hasExpectedReason({ reason, classification }: Loss): boolean {
  return classification.expectedReasons.some((expected) => expected === reason);
}

/** The figures of a run, by name. */
export function figures({ losses, ...recorder }: Recorder): [string, string][] {
  const days = recorder.connectedMs / DAY;
  const avoidable = losses.filter(isAvoidable).length;
  const unavoidable = losses.filter((loss) => !isAvoidable(loss));
  const causes = UNAVOIDABLE_CAUSES.map((cause): [string, string] => [
    `… ${cause}`,
    format(losses.filter(({ classification }) => classification.cause === cause).length),
  ]);
  return [
    ['connection-days', format(days)],
    ['token calls', format(recorder.tokenCalls)],
    ['successful refreshes', format(recorder.refreshes)],
    ['connections lost', format(losses.length)],
    ['**avoidable losses**', `**${format(avoidable)}**`],
    ['**… per million connection-days**', `**${format((avoidable / days) * 1_000_000)}**`],
    ['unavoidable losses', format(unavoidable.length)],
    ...causes,
    ['… with the correct reason', format(unavoidable.filter(hasExpectedReason).length)],
    ['recovered after a false rejection', format(recorder.recoveries)],
    ['successful requests', format(recorder.succeededRequests)],
    ['failed requests', format(recorder.failedRequests)],
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
  const tables = comparisons.map((comparison) => {
    const [headings = [], ...rows] = rowsOf(comparison);
    const lines = [headings, ['---', '---:', '---:'], ...rows].map((row) => `| ${row.join(' | ')} |`);
    return `### ${comparison.title}\n\n${lines.join('\n')}\n`;
  });
  return [setting, '', ...tables].join('\n');
}

/** The naive implementation records no reasons. */
function rowsOf({ service, naive }: Comparison): string[][] {
  const others = new Map(figures(naive));
  const other = (name: string) => (name.includes('reason') ? '–' : (others.get(name) ?? ''));
  return [HEADINGS, ...figures(service).map(([name, value]) => [name, value, other(name)])];
}

function format(number: number): string {
  return Math.round(number).toLocaleString('en');
}
