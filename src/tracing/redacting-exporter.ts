import { SpanKind } from '@opentelemetry/api';
import type { tracing } from '@opentelemetry/sdk-node';

type Span = tracing.ReadableSpan;
type Attributes = Span['attributes'];

/** Everything else is dropped: URLs contain codes, states, organizations and companies, and errors quote them. */
const ALLOWED = new Set([
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'network.protocol.version',
  'url.scheme',
  'db.system.name',
  'db.namespace',
  'db.query.text',
]);
/** Of outgoing calls only: of a request, they are what the caller sent. */
const ALLOWED_OUTGOING = new Set(['server.address', 'server.port']);
const VERB = /^\w+/;
const TABLE = /\b(?:from|into|update) `(\w+)`/;
/** A status, or the name of an error. */
const ERROR_TYPE = /^[A-Za-z0-9_]{1,64}$/;

/** Exports spans without anything that a caller, an organization or a provider has sent. */
export class RedactingExporter implements tracing.SpanExporter {
  private readonly exporter: tracing.SpanExporter;

  constructor(exporter: tracing.SpanExporter) {
    this.exporter = exporter;
  }

  export(spans: Span[], done: Parameters<tracing.SpanExporter['export']>[1]): void {
    this.exporter.export(spans.filter(isWorthExporting).map(redacted), done);
  }

  async shutdown(): Promise<void> {
    await this.exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.exporter.forceFlush?.();
  }
}

/** Not the statements with which the worker looks for work, each of which would be a trace of its own. */
function isWorthExporting({ parentSpanContext, attributes }: Span): boolean {
  return parentSpanContext !== undefined || attributes['db.system.name'] === undefined;
}

function redacted(span: Span): Span {
  const attributes = allowed(span);
  const hidden = { name: nameOf(span, attributes), attributes, events: [], status: { code: span.status.code } };
  const properties = Object.entries(hidden).map(([name, value]) => [name, { value, enumerable: true }]);
  return Object.create(span, Object.fromEntries(properties));
}

function allowed({ kind, attributes }: Span): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).filter(([name, value]) => {
      if (name === 'error.type') return ERROR_TYPE.test(String(value));
      return ALLOWED.has(name) || (kind === SpanKind.CLIENT && ALLOWED_OUTGOING.has(name));
    }),
  );
}

/** As OpenTelemetry's conventions: the method and the route or the server, a statement's verb and its table. */
function nameOf({ kind, name }: Span, attributes: Attributes): string {
  const method = attributes['http.request.method'];
  if (kind === SpanKind.SERVER) return [method, attributes['http.route']].filter(Boolean).join(' ');
  if (kind === SpanKind.CLIENT && method) return `${method} ${attributes['server.address']}`;
  const statement = String(attributes['db.query.text'] ?? name);
  return [VERB.exec(statement)?.[0], TABLE.exec(statement)?.[1]].filter(Boolean).join(' ');
}
