import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** What an Express application sets as the prototypes of requests and responses. */
interface Prototypes {
  request: object;
  response: object;
}

/**
 * Gives an application its own classes of requests and responses. A server that uses them creates objects whose prototypes Express does
 * not need to change. For objects whose prototype was changed, V8 often cannot use what it has compiled: a status request then takes
 * twice the processor time (docs/benchmark.md).
 */
export function defineMessageClasses(app: Express): void {
  class Request extends IncomingMessage {}
  class Response extends ServerResponse {}
  const prototypes = app as unknown as Prototypes;
  prototypes.request = Object.setPrototypeOf(Request.prototype, prototypes.request);
  prototypes.response = Object.setPrototypeOf(Response.prototype, prototypes.response);
}
