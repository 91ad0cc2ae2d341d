import { failureDetails } from './report.ts';
import { runSimulation } from './run.ts';
import { openService } from './service.ts';
import { hasExpectedReason, isAvoidable, type Totals, totalsOf } from './totals.ts';
import { HOUR } from './virtual-time.ts';

/** Long enough for unused refresh tokens to expire. */
export const SHARD_SIZE = { connections: 50, days: 110, replicas: 3, faultRate: 1, jobIntervalMs: 4 * HOUR };
/** One shard in this many has a provider with a grace period. */
const GRACE_ONE_IN = 5;

/** The result of one shard of the long run: a line of the state file. */
export interface ShardResult {
  seed: number;
  hasGracePeriod: boolean;
  size: typeof SHARD_SIZE;
  seconds: number;
  totals: Totals;
  /** How often the run was wrong: avoidable losses, wrong reasons, errors in the log. */
  failures: number;
  /** The connections and their histories, to reproduce them with the same seed. */
  details: string;
}

/** Runs one shard. */
export async function runShard(seed: number): Promise<ShardResult> {
  const startedAt = performance.now();
  const hasGracePeriod = seed % GRACE_ONE_IN === 0;
  const recorder = await runSimulation({ ...SHARD_SIZE, seed }, hasGracePeriod, openService);
  const wrong = recorder.losses.filter((loss) => isAvoidable(loss) || !hasExpectedReason(loss));
  return {
    ...{ seed, hasGracePeriod, size: SHARD_SIZE },
    seconds: Math.round((performance.now() - startedAt) / 1000),
    totals: totalsOf(recorder),
    failures: wrong.length + recorder.errors.length,
    details: failureDetails(recorder),
  };
}
