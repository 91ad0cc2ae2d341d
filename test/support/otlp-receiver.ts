import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';

/** A span as a collector receives it. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  attributes: Record<string, string>;
}

/** A collector of traces (OTLP over HTTP). */
export interface OtlpReceiver {
  url: string;
  spans(): ReceivedSpan[];
  /** Everything received, as text. */
  bodies: string[];
  close(): Promise<void>;
}

/** The parts of opentelemetry/proto/trace/v1/trace.proto that tests read. */
const REQUEST = protobuf
  .parse(`
  syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { repeated ScopeSpans scope_spans = 2; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; repeated Attribute attributes = 9;
  }
  message Attribute { string key = 1; Value value = 2; }
  message Value { string string_value = 1; int64 int_value = 3; }
`)
  .root.lookupType('Request');

interface DecodedSpan extends Record<'traceId' | 'spanId' | 'parentSpanId', Buffer> {
  name: string;
  attributes: { key: string; value: { stringValue: string; intValue: unknown } }[];
}

/** Starts a collector. @param responds false: it accepts connections and never answers */
export async function startOtlpReceiver({ responds = true } = {}): Promise<OtlpReceiver> {
  const received: Buffer[] = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    received.push(Buffer.concat(chunks));
    if (responds) response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => received.flatMap(spansOf),
    get bodies() {
      return received.map((body) => body.toString('latin1'));
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function spansOf(body: Buffer): ReceivedSpan[] {
  const { resourceSpans } = REQUEST.decode(body) as unknown as {
    resourceSpans: { scopeSpans: { spans: DecodedSpan[] }[] }[];
  };
  return resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map(({ traceId, spanId, parentSpanId, name, attributes }) => ({
      traceId: traceId.toString('hex'),
      spanId: spanId.toString('hex'),
      parentSpanId: parentSpanId.toString('hex'),
      name,
      attributes: Object.fromEntries(
        attributes.map(({ key, value }) => [key, value.stringValue || String(value.intValue)]),
      ),
    }));
}
