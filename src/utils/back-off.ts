import type { Clock } from './clock.ts';

interface BackOff {
  /** 1 for the first retry. */
  attempt: number;
  minMs: number;
  maxMs: number;
  clock: Clock;
}

/** Milliseconds to wait before a retry: doubles with each attempt, less up to half of it at random. */
export function backOffMs({ attempt, minMs, maxMs, clock }: BackOff): number {
  return Math.min(minMs * 2 ** (attempt - 1), maxMs) * (0.5 + clock.random() / 2);
}

/** `milliseconds`, more or less up to half of it at random, so that replicas do not act at the same moment. */
export function jitter(milliseconds: number, clock: Clock): number {
  return milliseconds * (0.5 + clock.random());
}
