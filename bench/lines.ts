import type { FernetFigures } from './fernet.ts';
import type { Round } from './load.ts';
import type { Line } from './table.ts';

const LEAST_SHARE = 0.85;
const MOST_ADDED_MS = 1;
/** Two measurements of one process differ by as much. */
const SAME = 0.1;
const LEAST_FERNET = 10;
const MOST_MEMORY = 200e6;

/** Status beside the floor. */
export function ofStatus(ours: Round, floor: Round): Line[] {
  return [
    {
      figure: 'status, 10 connections',
      ...perSecond(ours, floor),
      aim: `≥ ${LEAST_SHARE * 100} % of the floor`,
      isMet: ours.perSecond >= LEAST_SHARE * floor.perSecond,
    },
    { figure: '… median', ...milliseconds(ours.p50, floor.p50), aim: '' },
    { figure: '… 99th percentile', ...milliseconds(ours.p99, floor.p99), aim: '' },
    processorTime(ours, floor),
  ];
}

/** The gateway beside a direct call, where latency is what counts. */
export function ofGateway(figure: string, ours: Round, direct: Round): Line[] {
  const added = ours.p50 - direct.p50;
  return [
    {
      figure: `${figure}, median`,
      ...milliseconds(ours.p50, direct.p50),
      aim: `< ${MOST_ADDED_MS} ms added`,
      isMet: added < MOST_ADDED_MS,
    },
    { figure: '… 99th percentile', ...milliseconds(ours.p99, direct.p99), aim: '' },
  ];
}

/** The gateway beside a direct call, where all that it can do is asked of it. */
export function ofGatewayFlatOut(ours: Round, direct: Round): Line[] {
  return [
    { figure: 'gateway, 10 connections, as fast as it goes', ...perSecond(ours, direct), aim: '' },
    { figure: '… median', ...milliseconds(ours.p50, direct.p50), aim: '' },
    processorTime(ours, direct),
  ];
}

/** Status on many rows beside status on few. */
export function ofRows(figure: string, many: Round, few: Round): Line[] {
  return [
    { figure, ...perSecond(many, few), aim: 'no more costly', isMet: many.perSecond >= (1 - SAME) * few.perSecond },
    { figure: '… median', ...milliseconds(many.p50, few.p50), aim: '' },
  ];
}

export function ofFernet(figure: string, { ours, others }: FernetFigures): Line {
  return {
    figure,
    ours: `${count(ours)}/s`,
    beside: `${count(others)}/s`,
    comparison: `× ${(ours / others).toFixed(1)}`,
    aim: `≥ × ${LEAST_FERNET}`,
    isMet: ours / others >= LEAST_FERNET,
  };
}

export function ofMemory(requests: number, bytes: number): Line {
  return {
    figure: `memory after ${count(requests)} requests`,
    ours: `${Math.round(bytes / 1e6)} MB`,
    beside: '',
    comparison: '',
    aim: `< ${MOST_MEMORY / 1e6} MB`,
    isMet: bytes < MOST_MEMORY,
  };
}

function processorTime(ours: Round, other: Round): Line {
  return {
    figure: '… processor time of the process for one request',
    ours: `${Math.round(ours.cpu)} µs`,
    beside: `${Math.round(other.cpu)} µs`,
    comparison: `+ ${Math.round(ours.cpu - other.cpu)} µs`,
    aim: '',
  };
}

function perSecond(ours: Round, other: Round): Pick<Line, 'ours' | 'beside' | 'comparison'> {
  return {
    ours: `${count(ours.perSecond)}/s`,
    beside: `${count(other.perSecond)}/s`,
    comparison: `${Math.round((ours.perSecond / other.perSecond) * 100)} %`,
  };
}

function milliseconds(ours: number, other: number): Pick<Line, 'ours' | 'beside' | 'comparison'> {
  const difference = ours - other;
  return {
    ours: `${ours.toFixed(2)} ms`,
    beside: `${other.toFixed(2)} ms`,
    comparison: `${difference < 0 ? '−' : '+'} ${Math.abs(difference).toFixed(2)} ms`,
  };
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en');
}
