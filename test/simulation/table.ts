import type { Ledger } from './ledger.ts';
import type { Size } from './script.ts';
import { CAUSES } from './verdict.ts';
import { DAY } from './virtual-time.ts';

/** One script, played with both handlers. */
export interface Comparison {
  title: string;
  size: Size;
  ours: Ledger;
  naive: Ledger;
}

const HEADS = ['', 'this service', 'naive handler'];
const [AVOIDABLE] = CAUSES.slice(-1);

/** The losses that could have been kept. */
export function avoidable({ losses }: Ledger): Ledger['losses'] {
  return losses.filter(({ verdict }) => verdict.cause === AVOIDABLE);
}

/** The losses that nobody could have avoided. */
export function unavoidable({ losses }: Ledger): Ledger['losses'] {
  return losses.filter(({ verdict }) => verdict.cause !== AVOIDABLE);
}

/** Those of them whose reason tells what happened. */
export function namedRightly(ledger: Ledger): Ledger['losses'] {
  return unavoidable(ledger).filter(({ reason, verdict }) => verdict.rightReasons.includes(reason ?? ''));
}

/** The figures, each with its name. */
export function figures(ledger: Ledger): [string, string][] {
  const days = ledger.connectedMs / DAY;
  const count = (number: number) => Math.round(number).toLocaleString('en');
  const perMillion = (number: number) => count((number / days) * 1_000_000);
  const lost = avoidable(ledger).length;
  return [
    ['connection-days', count(days)],
    ['token calls', count(ledger.tokenCalls)],
    ['refreshes that succeeded', count(ledger.refreshes)],
    ['connections lost', count(ledger.losses.length)],
    ['**lost that could have been kept**', `**${count(lost)}**`],
    ['**… per million connection-days**', `**${perMillion(lost)}**`],
    ['losses that could not be avoided', count(unavoidable(ledger).length)],
    ...CAUSES.slice(0, -1).map((cause): [string, string] => [
      `… ${cause}`,
      count(ledger.losses.filter(({ verdict }) => verdict.cause === cause).length),
    ]),
    ['… named with the right reason', count(namedRightly(ledger).length)],
    ['given up for a false refusal, recovered', count(ledger.recoveries)],
    ['customers’ requests answered', count(ledger.answered)],
    ['customers’ requests failed', count(ledger.failed)],
  ];
}

/** The table for a terminal. */
export function asText({ title, ours, naive }: Comparison): string {
  const lines = rowsOf(ours, naive).map((row) => {
    const [name = '', ...numbers] = row.map((cell) => cell.replaceAll('**', ''));
    return name.padEnd(46) + numbers.map((number) => number.padStart(16)).join('');
  });
  return [title, ...lines].join('\n');
}

/** The table for the documentation. */
export function asMarkdown({ title, ours, naive }: Comparison): string {
  const [heads = [], ...rows] = rowsOf(ours, naive);
  const lines = [heads, ['---', '---:', '---:'], ...rows].map((row) => `| ${row.join(' | ')} |`);
  return `## ${title}\n\n${lines.join('\n')}\n`;
}

/** What is needed to find out how a loss came about. */
export function historyOf({ losses, errors }: Ledger): string {
  const wrong = losses.filter(
    ({ reason, verdict }) => verdict.cause === AVOIDABLE || !verdict.rightReasons.includes(reason ?? ''),
  );
  const told = wrong.map(({ organizationId, at, reason, verdict, history }) =>
    [
      `connection ${organizationId}, lost ${new Date(at).toISOString()} as ${reason}: ${verdict.cause}`,
      `right: ${verdict.rightReasons.join(', ')}; ${verdict.explanation}`,
      ...history,
    ].join('\n  '),
  );
  return [...told, ...errors].join('\n\n');
}

function rowsOf(ours: Ledger, naive: Ledger): string[][] {
  const others = new Map(figures(naive));
  return [HEADS, ...figures(ours).map(([name, value]) => [name, value, theirs(name, others.get(name) ?? '')])];
}

/** The naive handler knows no reasons. */
function theirs(name: string, value: string): string {
  return name.includes('reason') ? '–' : value;
}
