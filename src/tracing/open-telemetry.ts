import { createRequire } from 'node:module';
import { type Span, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { MySQL2Instrumentation } from '@opentelemetry/instrumentation-mysql2';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { NodeSDK, resources } from '@opentelemetry/sdk-node';
import { FlowPropagator } from './flow-propagator.ts';
import { RedactingExporter } from './redacting-exporter.ts';

/** Requests that arrive every few seconds and are all alike. */
const PROBES = /^\/(healthz|readyz|metrics)(\?|$)/;

/** What the service uses of OpenTelemetry. */
export interface Tracer {
  activeSpan(): Span | undefined;
  shutdown(): Promise<void>;
}

/**
 * Starts the SDK, which OpenTelemetry's own environment variables configure, and instruments the libraries. Express is not
 * one of them: where several routers share a path, its instrumentation reports the wrong route. The service sets its own.
 */
export function createTracer(): Tracer {
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': 'accounting-integration-service' }),
    resourceDetectors: [resources.envDetector], // the others report the command line and the host's user
    traceExporter: new RedactingExporter(new OTLPTraceExporter()),
    textMapPropagator: new FlowPropagator(),
    metricReaders: [], // the service's metrics are at /metrics, its log is on stdout
    logRecordProcessors: [],
    instrumentations: [
      new HttpInstrumentation({
        disableOutgoingRequestInstrumentation: true, // the service calls by undici; the exporter by node:http
        ignoreIncomingRequestHook: ({ url = '' }) => PROBES.test(url),
      }),
      // A statement's values are sent apart from its text, so that the text contains none.
      new MySQL2Instrumentation({ maskStatement: true, maskStatementHook: (sql) => sql }),
      new UndiciInstrumentation(),
    ],
  });
  sdk.start();
  // Instrumentations see what is required, not what an ES module imports. Node then shares the instrumented instance.
  createRequire(import.meta.url)('mysql2');
  return { activeSpan: () => trace.getActiveSpan(), shutdown: () => sdk.shutdown() };
}
