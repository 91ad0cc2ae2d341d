import type { Environment } from '../config/environment-schema.ts';
import { plainValue } from '../config/plain-value.ts';
import { systemClock } from '../utils/clock.ts';
import type { Tracer } from './open-telemetry.ts';

/** The collector has this long to receive the last spans. */
const FLUSH_MS = 1_000;

/** Set by connect, and sent by the browser with the callback, so that both belong to one trace; over https with the prefix `__Host-`. */
export const TRACE_COOKIE = 'oauth_trace';

let tracer: Tracer | undefined;

/**
 * Starts tracing if `OTEL_EXPORTER_OTLP_ENDPOINT` is set to a URL. Otherwise nothing of OpenTelemetry is loaded.
 * @param environment the process's own, from which OpenTelemetry reads its variables
 */
export async function startTracing(environment: Environment): Promise<void> {
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && name.startsWith('OTEL_')) environment[name] = plainValue(value);
  }
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = environment;
  if (!endpoint || !URL.canParse(endpoint)) return; // the configuration reports what is not a URL
  const { createTracer } = await import('./open-telemetry.ts');
  tracer = createTracer();
}

/** Exports the spans that were not exported yet, for a second at most. */
export async function stopTracing(): Promise<void> {
  if (!tracer) return;
  const limit = new AbortController();
  const flushed = tracer.shutdown().catch(() => undefined);
  await Promise.race([flushed, systemClock.sleep(FLUSH_MS, limit.signal)]);
  limit.abort();
}

/** The trace that a request is part of. */
export interface RequestTrace {
  id: string;
  /** The W3C `traceparent` that makes another request part of this trace. */
  traceparent: string;
  /** Names the request by the pattern of its route. */
  setRoute(route: string): void;
}

/** The trace of the request that is being processed; undefined without tracing. */
export function currentTrace(): RequestTrace | undefined {
  const span = tracer?.activeSpan();
  if (!span) return undefined;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    id: traceId,
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    setRoute: (route) => span.setAttribute('http.route', route),
  };
}
