import type { Loss, Recorder } from './recorder.ts';
import { DAY, HOUR } from './virtual-time.ts';

/** The sums of one or more runs, by name. */
export type Totals = Record<string, number>;

export function isAvoidable({ classification }: Loss): boolean {
  return classification.cause === 'avoidable';
}

export function hasExpectedReason({ reason, classification }: Loss): boolean {
  return classification.expectedReasons.some((expected) => expected === reason);
}

/** What a run is reported by. A loss counts as `lost: CAUSE`, other events as `event: NAME`. */
export function totalsOf(recorder: Recorder): Totals {
  const { losses, errors, tokenCalls, refreshes, recoveries, succeededRequests, failedRequests } = recorder;
  const unavoidable = losses.filter((loss) => !isAvoidable(loss));
  const revoked = unavoidable.filter(({ classification }) => classification.cause === 'revoked in QuickBooks');
  const totals: Totals = {
    connectionDays: recorder.connectedMs / DAY,
    ...{ tokenCalls, refreshes, recoveries, succeededRequests, failedRequests },
    losses: losses.length,
    correctReasons: unavoidable.filter(hasExpectedReason).length,
    errors: errors.length,
    hoursUntilReported: revoked.reduce((sum, { at, endedAt = at }) => sum + (at - endedAt) / HOUR, 0),
  };
  const add = (name: string, count: number) => {
    totals[name] = (totals[name] ?? 0) + count;
  };
  for (const { classification } of losses) add(`lost: ${classification.cause}`, 1);
  for (const [event, count] of recorder.counts) add(`event: ${event}`, count);
  return totals;
}

export function sumOf(runs: Totals[]): Totals {
  const sum: Totals = {};
  for (const run of runs) {
    for (const [name, value] of Object.entries(run)) sum[name] = (sum[name] ?? 0) + value;
  }
  return sum;
}
