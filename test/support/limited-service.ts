import { afterAll, afterEach, beforeAll } from '@jest/globals';
import type { JWTPayload } from 'jose';
import { bearer, WITH_KEYS } from './credentials.ts';
import { createSqlite } from './databases.ts';
import { useHarness } from './harness.ts';
import { type KeySet, startKeySet } from './key-set.ts';
import { type Sent, send } from './send.ts';
import { startService, type TestService } from './service.ts';

/** `RATE_LIMIT_PER_MINUTE` of the service. */
export const LIMIT = 3;

/** A service that accepts API keys and JWTs, and `LIMIT` calls per minute. */
export interface LimitedService {
  /** Starts a service that has counted nothing yet. It is closed after the test. */
  begin(env?: Record<string, string>): Promise<void>;
  /** Sends one request. @param route method and path @param from the client's address */
  call(route: string[], from: string, token?: string, headers?: Record<string, string>): Promise<Sent>;
  /** Returns a user's JWT. */
  user(claims: JWTPayload): Promise<string>;
}

/** Prepares the database, the simulator and the key set of one suite. */
export function useLimitedService(): LimitedService {
  const harness = useHarness(createSqlite);
  let service: TestService | undefined;
  let keySet: KeySet;
  beforeAll(async () => {
    keySet = await startKeySet();
  });
  afterEach(async () => {
    await service?.close();
    service = undefined;
  });
  afterAll(() => keySet.close());
  return {
    begin: async (changes = {}) => {
      const { database, simulator } = harness;
      const env = { ...WITH_KEYS, ...keySet.env, RATE_LIMIT_PER_MINUTE: String(LIMIT), ...changes };
      service = await startService({ databaseUrl: database.url, simulator, env });
    },
    call: ([method = '', path = ''], from, token, headers = {}) =>
      send(service?.origin ?? '', path, { method, from, headers: { ...(token ? bearer(token) : {}), ...headers } }),
    user: (claims) => keySet.sign(claims),
  };
}

let last = 0;

/** Returns a number that was not returned before. */
export function next(): number {
  last += 1;
  return last;
}

/** Returns a client's address that was not returned before. */
export function fresh(): string {
  return `127.0.1.${next()}`;
}

/** Calls until the response is 429, `max` + 1 times at most. Returns how many calls were allowed, or infinity. */
export async function allowed(call: () => Promise<Sent>, max: number): Promise<number> {
  for (let count = 0; count <= max; count += 1) if ((await call()).status === 429) return count;
  return Number.POSITIVE_INFINITY;
}
