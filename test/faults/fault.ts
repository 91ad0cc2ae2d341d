import type { Stage, StageOptions } from './stage.ts';

/** Faults that are played one after the other on one stage: a database, an Intuit and two processes of their own. */
export interface Scene {
  on?: StageOptions;
  /** Runs by itself, since it measures milliseconds. */
  alone?: true;
  faults: Fault[];
}

/** One row of the table: something goes wrong, and this is what must come of it. */
export interface Fault {
  name: string;
  must: string;
  run(stage: Stage): Promise<Outcome>;
}

/** What came of it. */
export interface Outcome {
  /** As it was measured. */
  happened: string;
  /** What must be true, each by its name. */
  checks: Record<string, boolean>;
}

/** A fault that was played, or could not be. */
export interface Result {
  fault: Fault;
  state: 'ok' | 'FAILED' | 'skipped';
  happened: string;
}
