import type { CallResult } from './traffic.ts';

/** Formats how often each status was returned, such as `503 × 12, 200 × 5`, in the order of their first responses. */
export function countByStatus(results: CallResult[]): string {
  const counts = new Map<number, number>();
  for (const { status } of results) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status || 'no response'} × ${count}`).join(', ');
}

/** True if every call returned one of the statuses. */
export function haveStatus(results: CallResult[], ...statuses: number[]): boolean {
  return results.every(({ status }) => statuses.includes(status));
}

/** The longest latency, such as `max latency 16.5 s`. */
export function maxLatency(results: CallResult[]): string {
  const ms = Math.max(0, ...results.map(({ latencyMs }) => latencyMs));
  return `max latency ${ms < 1_000 ? `${Math.round(ms)} ms` : seconds(ms)}`;
}

/** Formats milliseconds, such as `16.5 s`. */
export function seconds(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : 'never';
}

/** The maximum number of refreshes that the back-off allows in this time: retries after 1, 2, 3, 3 … seconds at the earliest. */
export function maxAttempts(elapsedMs: number): number {
  return 2 + Math.floor(elapsedMs / 3_000);
}
