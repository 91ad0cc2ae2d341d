import { readEnvironment } from '../config/config.ts';
import { startTracing } from './tracing.ts';

// Loaded by `node --import` before the service, since libraries are instrumented when they load.
await startTracing(readEnvironment());
