import type { Context, TextMapGetter, TextMapPropagator } from '@opentelemetry/api';
import { core } from '@opentelemetry/sdk-node';
import { parseCookie } from 'cookie';
import { TRACE_COOKIE } from './tracing.ts';

/** Continues a caller's trace, by its `traceparent` or by the cookie of the flow. Sends nothing to other services. */
export class FlowPropagator implements TextMapPropagator {
  private readonly w3c = new core.W3CTraceContextPropagator();

  /** Does nothing: Intuit, receivers of webhooks and identity providers are other parties. */
  inject(): void {}

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const traceparent = getter.get(carrier, 'traceparent') ?? fromCookie(getter.get(carrier, 'cookie'));
    const headers = traceparent === undefined ? {} : { traceparent: String(traceparent) };
    return this.w3c.extract(context, headers, { get: (from, name) => Object(from)[name], keys: () => ['traceparent'] });
  }

  fields(): string[] {
    return ['traceparent', 'cookie'];
  }
}

function fromCookie(header: undefined | string | string[]): string | undefined {
  const cookies = parseCookie(String(header ?? ''));
  return cookies[`__Host-${TRACE_COOKIE}`] ?? cookies[TRACE_COOKIE];
}
