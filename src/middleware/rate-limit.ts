import type { Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import { AppError } from '../errors.ts';
import { callerOf } from './authenticate.ts';

const WINDOW_MS = 60_000;
/** Reading is cheap: status, events and gateway get this many times the limit. */
const READING_FACTOR = 10;
/** An IPv6 customer owns a /64. */
const IPV6_SUBNET = 64;

/** The limits, each over one minute and with counts of its own. */
interface RateLimits {
  /** GET connect and callback, by address. */
  browser: RequestHandler;
  /** POST connect and disconnect, by caller. */
  change: RequestHandler;
  /** Status, events and gateway, by caller. */
  read: RequestHandler;
  /** Refused credentials, by address. */
  refused: RequestHandler;
}

/** @param createStore makes the counts of a limit, in memory or shared; undefined for express-rate-limit's own. */
export function createRateLimits(perMinute: number, createStore: (name: string) => Store | undefined): RateLimits {
  const limit = (name: string, most: number, keyGenerator: (request: Request, response: Response) => string) => {
    const store = createStore(name);
    return rateLimit({
      windowMs: WINDOW_MS,
      limit: most,
      identifier: name,
      keyGenerator,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      validate: false, // its checks are for the defaults that are replaced here, and write to the console
      passOnStoreError: true,
      handler: (_request, _response, next) => next(tooMany()),
      ...(store ? { store } : {}),
    });
  };
  return {
    browser: limit('browser', perMinute, byAddress),
    change: limit('change', perMinute, byCaller),
    read: limit('read', perMinute * READING_FACTOR, byCaller),
    refused: limit('refused', perMinute, byAddress),
  };
}

function byAddress(request: Request): string {
  return ipKeyGenerator(request.ip ?? '', IPV6_SUBNET);
}

function byCaller(request: Request, response: Response): string {
  return callerOf(response).account ?? byAddress(request);
}

function tooMany(): AppError {
  return new AppError('rate_limited', 'Too many requests. Please try again in a minute.');
}
