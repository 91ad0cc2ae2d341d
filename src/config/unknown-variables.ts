import { nearest } from '../utils/nearest.ts';
import type { Environment } from './environment-schema.ts';

/** The prefixes of variables that only this service has. */
const PREFIX = /^(QBO|AUTH)_/;
/** What Kubernetes sets for another service called `auth` or `qbo`: AUTH_SERVICE_HOST, AUTH_PORT_80_TCP, … */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT|PORT)(_\w+)?$/;
/** A misspelled name differs from the intended one by no more characters than this. */
const MAX_TYPOS = 3;

/** Returns a problem for each variable that has this service's prefix but is unknown: a typo would have no effect. */
export function unknownVariables(known: string[], given: Environment): Record<string, string> {
  const unknown = Object.keys(given).filter(
    (name) => PREFIX.test(name) && !known.includes(name) && !SERVICE_LINK.test(name),
  );
  return Object.fromEntries(
    unknown.map((name) => {
      const intended = nearest(name, known, MAX_TYPOS);
      return [name, `is not a variable of this service${intended ? `: did you mean ${intended}?` : ''}`];
    }),
  );
}
