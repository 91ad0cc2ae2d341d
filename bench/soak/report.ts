import { ACCESS_TOKEN_SECONDS } from './environment.ts';
import { memoryTrend, type Peer, type Sample } from './samples.ts';

/** What a run measured. */
export interface SoakResult {
  companies: number;
  minutes: number;
  /** Calls by their outcome, as callers saw them. */
  outcomes: Map<string, number>;
  /** Milliseconds of calls that returned 200, the wait for the company's limits included. */
  p50: number;
  p99: number;
  /** The calls that reached QuickBooks, and how many of them it rejected with 429. */
  quickbooksCalls: number;
  quickbooksRejections: number;
  refreshes: number;
  /** Calls that waited for their turn, and turns that passed before their call could be sent. */
  deferred: number;
  missedTurns: number;
  /** Lines of level `warn` or above. */
  warnings: number;
  /** Of each replica. */
  samples: Sample[][];
  /** Of each replica, some time after the last call. */
  afterwards: Sample['sockets'][];
}

/** Memory that grows by less is flat: two samples of an idle process differ by as much. */
const TOLERANCE = 1.1;
const ROWS = 12;
/** 429 is this service's own, for calls beyond the limits. */
const EXPECTED_OUTCOMES = ['200', '429', 'left'];

/** What must hold, with a description of each. */
export function checks(result: SoakResult): [description: string, isMet: boolean][] {
  return [
    ['no 429 from QuickBooks', result.quickbooksRejections === 0],
    ['memory is flat', result.samples.every((samples) => isFlat(memoryTrend(samples)))],
    ['no connection to callers or QuickBooks remains', result.afterwards.every(isClosed)],
    ['no failed call', [...result.outcomes.keys()].every((outcome) => EXPECTED_OUTCOMES.includes(outcome))],
    ['all connections refreshed', result.refreshes >= result.companies * lifetimes(result.minutes)],
  ];
}

/** The figures as Markdown. */
export function asMarkdown(result: SoakResult): string {
  const { outcomes, companies, minutes } = result;
  const ok = outcomes.get('200') ?? 0;
  const rows: [string, string][] = [
    ['calls', count([...outcomes.values()].reduce((sum, each) => sum + each, 0))],
    ...[...outcomes].sort().map(([outcome, number]): [string, string] => [`… ${labelOf(outcome)}`, count(number)]),
    ['calls that reached QuickBooks', count(result.quickbooksCalls)],
    ['… per company and minute', (result.quickbooksCalls / companies / minutes).toFixed(1)],
    ['… that QuickBooks rejected with 429', count(result.quickbooksRejections)],
    ['calls that waited for the limits of their company', `${Math.round((100 * result.deferred) / ok)} %`],
    ['turns that passed before their call could be sent', count(result.missedTurns)],
    ['token refreshes', count(result.refreshes)],
    ['median, 99th percentile of 200, the wait included', `${Math.round(result.p50)} ms, ${Math.round(result.p99)} ms`],
    ['log lines of level `warn` or above', count(result.warnings)],
    ...result.samples.map((samples, index): [string, string] => [
      `memory of replica ${index + 1}: median of the first and of the last quarter`,
      `${megabytes(memoryTrend(samples).first)}, ${megabytes(memoryTrend(samples).last)} MB`,
    ]),
    ['connections after the end: to callers, to QuickBooks', result.afterwards.map(openText).join('; ')],
    ...checks(result).map(([description, isMet]): [string, string] => [`**${description}**`, isMet ? 'met' : 'missed']),
  ];
  const figures = ['| | |', '|---|---:|', ...rows.map((row) => `| ${row.join(' | ')} |`)];
  return `${figures.join('\n')}\n\n${timeline(result.samples)}`;
}

/** Memory and connections over time. */
function timeline(samples: Sample[][]): string {
  const [first = []] = samples;
  const step = Math.max(1, Math.floor(first.length / ROWS));
  const peers: Peer[] = ['callers', 'QuickBooks', 'MySQL', 'Redis'];
  const names = samples.map((_, index) => `replica ${index + 1}: MB`);
  const head = ['minute', ...samples.flatMap((_, index) => [names[index], `connections: ${peers.join(', ')}`])];
  const rows = first.flatMap(({ seconds }, index) => {
    if ((index + 1) % step !== 0) return [];
    const cells = samples.flatMap((each) => {
      const sample = each[index];
      return sample
        ? [megabytes(sample.residentBytes), peers.map((peer) => sample.sockets[peer]).join(', ')]
        : ['', ''];
    });
    return [`| ${[(seconds / 60).toFixed(0), ...cells].join(' | ')} |`];
  });
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---:|').join('')}`, ...rows].join('\n');
}

/** How many access tokens expire one after the other in this time. */
function lifetimes(minutes: number): number {
  return Math.floor((minutes * 60) / ACCESS_TOKEN_SECONDS);
}

function isFlat({ first, last }: { first: number; last: number }): boolean {
  return last <= first * TOLERANCE;
}

function isClosed({ callers, QuickBooks }: Sample['sockets']): boolean {
  return callers === 0 && QuickBooks === 0;
}

function openText({ callers, QuickBooks }: Sample['sockets']): string {
  return `${callers}, ${QuickBooks}`;
}

function labelOf(outcome: string): string {
  return outcome === 'left' ? 'abandoned by their caller' : outcome === 'failed' ? 'failed connections' : outcome;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function count(number: number): string {
  return number.toLocaleString('en');
}
