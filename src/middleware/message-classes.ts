import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/** The objects that Express sets as the prototypes of requests and responses. Its types declare neither. */
interface Prototypes {
  request: object;
  response: object;
}

/**
 * Gives an application its own classes of requests and responses. A server that uses them creates objects whose prototypes Express does
 * not need to change. V8's optimized code often does not apply to objects whose prototype was changed: a status request then takes
 * twice the processor time (docs/benchmark.md). For an application that is not mounted in another one.
 */
export function defineMessageClasses(app: Express): void {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  const prototypes = app as unknown as Prototypes;
  prototypes.request = Object.setPrototypeOf(AppRequest.prototype, prototypes.request);
  prototypes.response = Object.setPrototypeOf(AppResponse.prototype, prototypes.response);
}
