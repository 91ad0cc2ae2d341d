import { customFetch, type FetchImplementation } from 'jose';
import { z } from 'zod';
import type { Clock } from '../utils/clock.ts';

/** The key set is fetched again when it is old, or, at most this often, for a key that it does not contain. */
export const KEY_SET_OPTIONS = { cacheMaxAge: 10 * 60_000, cooldownDuration: 30_000, timeoutDuration: 3_000 };

/** After a failed fetch, no other one is attempted for this long, however many callers need it. */
const FAILURE_COOLDOWN_MS = 5_000;

/** The key set is required and was never fetched. */
export class KeySetUnavailableError extends Error {
  override readonly name = 'KeySetUnavailableError';
}

/** Fetches a key set; if that fails, returns the last one that was fetched. */
export function resilientFetch(clock: Clock): { [customFetch]: FetchImplementation } {
  let lastFetched: string | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  const load: FetchImplementation = async (url, options) => {
    if (clock.monotonicMs() - failedAt > FAILURE_COOLDOWN_MS) {
      try {
        lastFetched = await fetchKeySet(url, options);
      } catch {
        failedAt = clock.monotonicMs();
      }
    }
    if (lastFetched === undefined) throw new KeySetUnavailableError('the key set cannot be fetched');
    return new Response(lastFetched);
  };
  return { [customFetch]: load };
}

/** RFC 7517 §5. */
const keySet = z.object({ keys: z.array(z.object({ kty: z.string() })) });

async function fetchKeySet(...[url, options]: Parameters<FetchImplementation>): Promise<string> {
  const response = await fetch(url, options);
  const text = await response.text();
  const isKeySet = response.status === 200 && keySet.safeParse(JSON.parse(text)).success;
  if (!isKeySet) throw new Error('the response is not a key set');
  return text;
}
