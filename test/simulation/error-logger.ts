import type { Logger } from '../../src/observability/logger.ts';
import type { Recorder } from './recorder.ts';
import type { Replica } from './replica.ts';

/** Creates a logger that keeps only errors, each of which is an internal fault. */
export function createErrorLogger(recorder: Recorder, replica: Replica): Logger {
  const ignore = () => undefined;
  const error = (facts: { err?: unknown }, message: string) => {
    recorder.errors.push(`${replica.name}: ${message} ${String((facts.err as Error)?.stack ?? JSON.stringify(facts))}`);
  };
  return { debug: ignore, info: ignore, warn: ignore, error } as unknown as Logger;
}
