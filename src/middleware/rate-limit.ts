import { createHash } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, MemoryStore, type Options, type Store } from 'express-rate-limit';
import { isAuthorized } from '../auth/authorize-organization.ts';
import { AppError } from '../errors.ts';
import type { OrganizationId } from '../models/connection.ts';
import { callerOf } from './locals.ts';

const WINDOW_MS = 60_000;
/** Reading is cheap: status, events and gateway get this many times the limit. */
const READ_FACTOR = 10;
/** An IPv6 customer owns a /64. */
const IPV6_SUBNET = 64;
/** Of the hash that stands for a caller: 12 bytes. */
const PARTITION_LENGTH = 16;
const MAX_POLICIES = 10_000;

/** The limits, each over one minute with counts of its own. */
export interface RateLimits {
  /** GET connect and callback, by address. */
  browser: RequestHandler;
  /** POST connect and disconnect, by caller. */
  change: RequestHandler;
  /** Status, events and gateway, by caller and organization. */
  read: RequestHandler;
  /** The connections of all organizations, by caller. */
  list: RequestHandler;
  /** Rejected credentials, by address. */
  rejected: RequestHandler;
}

/** @param createStore creates the counts of a limit; returns undefined for counts in memory */
export function createRateLimits(perMinute: number, createStore: (name: string) => Store | undefined): RateLimits {
  const limit = (name: string, max: number, keyOf: KeyOf) =>
    createLimit({ name, max, keyOf, store: createStore(name) ?? new MemoryStore() });
  return {
    browser: limit('browser', perMinute, byAddress),
    change: limit('change', perMinute, byCaller),
    read: limit('read', perMinute * READ_FACTOR, byCallerAndOrganization),
    list: limit('list', perMinute, byCaller),
    rejected: limit('rejected', perMinute, byAddress),
  };
}

type KeyOf = (request: Request, response: Response) => string;

interface Limit {
  name: string;
  max: number;
  keyOf: KeyOf;
  store: Store;
}

/**
 * Counts requests in a store of express-rate-limit, whose own middleware takes several times as long: it reads the address
 * and hashes the key for every request.
 */
function createLimit({ name, max, keyOf, store }: Limit): RequestHandler {
  void store.init?.({ windowMs: WINDOW_MS } as Options);
  const policyOf = createPolicies(name, max);
  return async (request, response, next) => {
    const key = keyOf(request, response);
    const { totalHits, resetTime } = await store.increment(key);
    const resetSeconds = secondsUntil(resetTime);
    response.setHeader('RateLimit', `"${name}"; r=${Math.max(0, max - totalHits)}; t=${resetSeconds}`);
    response.setHeader('RateLimit-Policy', policyOf(key));
    if (totalHits > max) throw new AppError('rate_limited', { retryAfterSeconds: resetSeconds });
    next();
  };
}

/** Builds the header that describes a limit to one caller (draft 8 of the IETF's RateLimit fields), once for each. */
function createPolicies(name: string, max: number): (key: string) => string {
  const policies = new Map<string, string>();
  return (key) => {
    let policy = policies.get(key);
    if (policy === undefined) {
      const partition = createHash('sha256').update(key).digest('base64').slice(0, PARTITION_LENGTH);
      policy = `"${name}"; q=${max}; w=${WINDOW_MS / 1000}; pk=:${partition}:`;
      if (policies.size === MAX_POLICIES) policies.clear(); // hostile callers have any number of keys
      policies.set(key, policy);
    }
    return policy;
  };
}

/** The stores count by the process's own time. */
function secondsUntil(resetTime: Date | undefined): number {
  const milliseconds = resetTime ? resetTime.getTime() - Date.now() : WINDOW_MS;
  return Math.max(0, Math.ceil(milliseconds / 1000));
}

function byAddress(request: Request): string {
  return ipKeyGenerator(request.ip ?? '', IPV6_SUBNET);
}

function byCaller(request: Request, response: Response): string {
  return callerOf(response).account ?? byAddress(request);
}

/** An organization that the caller cannot act for has no allowance of its own. */
function byCallerAndOrganization(request: Request, response: Response): string {
  const caller = byCaller(request, response);
  const organizationId = String(request.params['organization_id']) as OrganizationId;
  return isAuthorized(callerOf(response), organizationId) ? `${caller}/${organizationId}` : caller;
}
