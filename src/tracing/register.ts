import { readEnvironment } from '../config/config.ts';
import type { Environment } from '../config/environment-schema.ts';
import { startTracing } from './tracing.ts';

// Loaded by `node --import` before the service, since libraries are instrumented when they load.
await startTracing(environment());

/** Empty if it cannot be read: the service then reports why, and does not start. */
function environment(): Environment {
  try {
    return readEnvironment();
  } catch {
    return {};
  }
}
