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

const MIN_SHARE = 0.85;
const MAX_ADDED_MS = 1;
/** Two measurements of the same process differ by as much. */
const TOLERANCE = 0.1;
const MIN_FERNET_RATIO = 10;
const MAX_MEMORY_BYTES = 200e6;
const HEADINGS = ['', 'this service', 'baseline', 'ratio or difference', 'target', 'result'];

export function statusFigures(service: Round, baseline: Round): Figure[] {
  return [
    {
      name: 'status, 10 connections',
      ...throughput(service, baseline),
      target: `≥ ${MIN_SHARE * 100} % of the baseline`,
      isMet: service.perSecond >= MIN_SHARE * baseline.perSecond,
    },
    { name: '… median', ...latency(service.p50, baseline.p50) },
    { name: '… 99th percentile', ...latency(service.p99, baseline.p99) },
    processorTime(service, baseline),
  ];
}

export function tableSizeFigures(name: string, large: Round, small: Round): Figure[] {
  const isMet = large.perSecond >= (1 - TOLERANCE) * small.perSecond;
  return [
    { name, ...throughput(large, small), target: 'no slower', isMet },
    { name: '… median', ...latency(large.p50, small.p50) },
  ];
}

/** The gateway under a load at which latency matters. */
export function gatewayLatencyFigures(name: string, service: Round, direct: Round): Figure[] {
  const isMet = service.p50 - direct.p50 < MAX_ADDED_MS;
  return [
    { name: `${name}, median`, ...latency(service.p50, direct.p50), target: `< ${MAX_ADDED_MS} ms added`, isMet },
    { name: '… 99th percentile', ...latency(service.p99, direct.p99) },
  ];
}

/** The gateway at its maximum throughput. */
export function gatewayThroughputFigures(service: Round, direct: Round): Figure[] {
  return [
    { name: 'gateway, 10 connections, maximum throughput', ...throughput(service, direct) },
    { name: '… median', ...latency(service.p50, direct.p50) },
    processorTime(service, direct),
  ];
}

export function fernetFigure(name: string, { service, baseline }: FernetRates): Figure {
  return {
    name,
    service: `${count(service)}/s`,
    baseline: `${count(baseline)}/s`,
    comparison: `× ${(service / baseline).toFixed(1)}`,
    target: `≥ × ${MIN_FERNET_RATIO}`,
    isMet: service / baseline >= MIN_FERNET_RATIO,
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

function throughput(service: Round, baseline: Round) {
  return {
    service: `${count(service.perSecond)}/s`,
    baseline: `${count(baseline.perSecond)}/s`,
    comparison: `${Math.round((service.perSecond / baseline.perSecond) * 100)} %`,
  };
}

function latency(service: number, baseline: number) {
  const difference = service - baseline;
  return {
    service: `${service.toFixed(2)} ms`,
    baseline: `${baseline.toFixed(2)} ms`,
    comparison: `${difference < 0 ? '−' : '+'} ${Math.abs(difference).toFixed(2)} ms`,
  };
}

function processorTime(service: Round, baseline: Round): Figure {
  return {
    name: '… processor time per request',
    service: `${Math.round(service.cpu)} µs`,
    baseline: `${Math.round(baseline.cpu)} µs`,
    comparison: `+ ${Math.round(service.cpu - baseline.cpu)} µs`,
  };
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en');
}
