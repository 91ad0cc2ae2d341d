import type { FernetRates } from './fernet.ts';
import type { Round } from './load.ts';

/** One line of the table. */
export interface Figure {
  name: string;
  service: string;
  baseline?: string;
  /** Their ratio or difference. */
  comparison?: string;
  target?: string;
  /** Absent if there is no target. */
  isMet?: boolean;
}

/** The least share of the baseline's requests per second. */
const MIN_SHARE = { status: 1, gateway: 0.8 };
/** How much may be added to the median, in milliseconds. */
const MAX_ADDED_MS = { status: 0.4, gateway: 1 };
/** Two measurements of the same process differ by as much; two processes of the same code sometimes by more. */
const TOLERANCE = 0.1;
const MIN_FERNET_RATIO = 10;
const MIN_FASTAPI_RATIO = 4;
const MAX_MEMORY_BYTES = 200e6;
const HEADINGS = ['', 'this service', 'baseline', 'ratio or difference', 'target', 'result'];

/** Throughput and latency of callers that send the next request when they have a response. */
export function throughputFigures(name: string, kind: 'status' | 'gateway', service: Round, baseline: Round): Figure[] {
  const share = MIN_SHARE[kind];
  return [
    {
      name,
      ...throughput(service.perSecond, baseline.perSecond),
      target: `≥ ${share * 100} %`,
      isMet: service.perSecond >= share * baseline.perSecond,
    },
    processorTimeFigure(service, baseline),
    { name: '… median', ...latency(service.p50, baseline.p50) },
    { name: '… 99th percentile', ...latency(service.p99, baseline.p99) },
  ];
}

export function fastApiFigures(name: string, service: Round, fastApi: Round): Figure[] {
  return [
    {
      name,
      service: `${count(service.perSecond)}/s`,
      baseline: `${count(fastApi.perSecond)}/s`,
      ...ratio(service.perSecond / fastApi.perSecond, MIN_FASTAPI_RATIO),
    },
    processorTimeFigure(service, fastApi),
    { name: '… median', ...latency(service.p50, fastApi.p50) },
  ];
}

export function tableSizeFigures(name: string, large: Round, small: Round): Figure[] {
  const isMet = large.perSecond >= (1 - TOLERANCE) * small.perSecond;
  return [
    { name, ...throughput(large.perSecond, small.perSecond), target: 'no slower', isMet },
    processorTimeFigure(large, small),
    { name: '… median', ...latency(large.p50, small.p50) },
  ];
}

/** The median under a load at which latency matters. */
export function latencyFigures(name: string, kind: 'status' | 'gateway', service: Round, baseline: Round): Figure[] {
  const added = MAX_ADDED_MS[kind];
  const isMet = service.p50 - baseline.p50 < added;
  return [
    { name: `${name}, median`, ...latency(service.p50, baseline.p50), target: `< ${added} ms added`, isMet },
    { name: '… 99th percentile', ...latency(service.p99, baseline.p99) },
  ];
}

/** The same compared with a direct call, and with what the minimal gateway adds to it. */
export function addedLatencyFigures(name: string, rounds: Record<'service' | 'minimal' | 'direct', Round>): Figure[] {
  const { service, minimal, direct } = rounds;
  return [
    ...latencyFigures(`${name}, baseline a direct call`, 'gateway', service, direct),
    { name: '… median, baseline the minimal gateway', ...latency(service.p50, minimal.p50) },
  ];
}

export function fernetFigure(name: string, { service, baseline }: FernetRates): Figure {
  return {
    name,
    service: `${count(service)}/s`,
    baseline: `${count(baseline)}/s`,
    ...ratio(service / baseline, MIN_FERNET_RATIO),
  };
}

export function memoryFigure(requests: number, bytes: number): Figure {
  return {
    name: `memory after ${count(requests)} requests`,
    service: `${Math.round(bytes / 1e6)} MB`,
    target: `< ${MAX_MEMORY_BYTES / 1e6} MB`,
    isMet: bytes < MAX_MEMORY_BYTES,
  };
}

/** The table for a terminal. */
export function asText(figures: Figure[]): string {
  const rows = [HEADINGS, ...figures.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

/** The table for the documentation. */
export function asMarkdown(figures: Figure[]): string {
  const rows = [HEADINGS, ['---', '---:', '---:', '---:', '---:', '---'], ...figures.map(cells)];
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function cells({ name, service, baseline = '', comparison = '', target = '', isMet }: Figure): string[] {
  return [name, service, baseline, comparison, target, isMet === undefined ? '' : isMet ? 'met' : 'missed'];
}

/** Depends less on other work on the machine than requests per second do. */
function processorTimeFigure(service: Round, baseline: Round): Figure {
  return { name: '… per second of processor time', ...throughput(1e6 / service.cpu, 1e6 / baseline.cpu) };
}

function throughput(service: number, baseline: number) {
  return {
    service: `${count(service)}/s`,
    baseline: `${count(baseline)}/s`,
    comparison: `${Math.round((service / baseline) * 100)} %`,
  };
}

function ratio(value: number, least: number) {
  return { comparison: `× ${value.toFixed(1)}`, target: `≥ × ${least}`, isMet: value >= least };
}

function latency(service: number, baseline: number) {
  const difference = service - baseline;
  return {
    service: `${service.toFixed(2)} ms`,
    baseline: `${baseline.toFixed(2)} ms`,
    comparison: `${difference < 0 ? '−' : '+'} ${Math.abs(difference).toFixed(2)} ms`,
  };
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en');
}
