import { afterAll, afterEach, beforeAll } from '@jest/globals';
import type { JWTPayload } from 'jose';
import { bearer, WITH_KEYS } from './credentials.ts';
import { createSqlite } from './databases.ts';
import { type KeySet, startKeySet } from './key-set.ts';
import { type Sent, send } from './send.ts';
import { startService, type TestService } from './service.ts';
import { useStage } from './stage.ts';

export const LIMIT = 3;

/** A service that takes keys and users, with `LIMIT` calls a minute. */
export interface LimitedService {
  /** Starts one that has counted nothing yet; it ends with the test. */
  begin(env?: Record<string, string>): Promise<void>;
  /** @param route method and path */
  call(route: string[], from: string, token?: string, headers?: Record<string, string>): Promise<Sent>;
  user(claims: JWTPayload): Promise<string>;
}

/** Sets the stage for a suite. */
export function useLimitedService(): LimitedService {
  const stage = useStage(createSqlite);
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
      const env = { ...WITH_KEYS, ...keySet.env, RATE_LIMIT_PER_MINUTE: String(LIMIT), ...changes };
      service = await startService({ databaseUrl: stage.database.url, simulator: stage.simulator, env });
    },
    call: ([method = '', path = ''], from, token, headers = {}) =>
      send(service?.origin ?? '', path, { method, from, headers: { ...(token ? bearer(token) : {}), ...headers } }),
    user: (claims) => keySet.sign(claims),
  };
}

let last = 0;

/** A number that was not used before. */
export function next(): number {
  last += 1;
  return last;
}

/** A client's address that was not used before. */
export function fresh(): string {
  return `127.0.1.${next()}`;
}

/** How often `one` is answered before it is 429, of one more than `most` tries. */
export async function allowed(one: () => Promise<Sent>, most: number): Promise<number> {
  for (let time = 0; time <= most; time += 1) if ((await one()).status === 429) return time;
  return Number.POSITIVE_INFINITY;
}
