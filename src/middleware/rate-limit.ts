import type { Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import { AppError } from '../errors.ts';
import { callerOf } from './locals.ts';

const WINDOW_MS = 60_000;
/** Reading is cheap: status, events and gateway get this many times the limit. */
const READ_FACTOR = 10;
/** An IPv6 customer owns a /64. */
const IPV6_SUBNET = 64;

/** The limits, each over one minute with counts of its own. */
export interface RateLimits {
  /** GET connect and callback, by address. */
  browser: RequestHandler;
  /** POST connect and disconnect, by caller. */
  change: RequestHandler;
  /** Status, events and gateway, by caller. */
  read: RequestHandler;
  /** The connections of all organizations, by caller. */
  list: RequestHandler;
  /** Rejected credentials, by address. */
  rejected: RequestHandler;
}

/** @param createStore creates the counts of a limit; returns undefined for express-rate-limit's own, in memory */
export function createRateLimits(perMinute: number, createStore: (name: string) => Store | undefined): RateLimits {
  const limit = (name: string, max: number, keyGenerator: (request: Request, response: Response) => string) => {
    const store = createStore(name);
    return rateLimit({
      windowMs: WINDOW_MS,
      limit: max,
      identifier: name,
      keyGenerator,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      validate: false, // it checks the defaults that are replaced here, and writes to the console
      passOnStoreError: true,
      handler: (_request, _response, next) => next(new AppError('rate_limited')),
      ...(store ? { store } : {}),
    });
  };
  return {
    browser: limit('browser', perMinute, byAddress),
    change: limit('change', perMinute, byCaller),
    read: limit('read', perMinute * READ_FACTOR, byCaller),
    list: limit('list', perMinute, byCaller),
    rejected: limit('rejected', perMinute, byAddress),
  };
}

function byAddress(request: Request): string {
  return ipKeyGenerator(request.ip ?? '', IPV6_SUBNET);
}

function byCaller(request: Request, response: Response): string {
  return callerOf(response).account ?? byAddress(request);
}
