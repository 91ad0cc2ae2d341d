import { customFetch, type FetchImplementation } from 'jose';
import { z } from 'zod';

/** How the remote key set is kept: fetched again when it is old, or, at most this often, for a key it does not hold. */
export const JWKS_OPTIONS = { cacheMaxAge: 10 * 60_000, cooldownDuration: 30_000, timeoutDuration: 3_000 };

/** After a failed fetch the key set is left alone for so long, however many callers need it. */
const PAUSE_AFTER_FAILURE_MS = 5_000;

/** The key set is needed and was never fetched. */
export class KeySetUnavailable extends Error {
  override readonly name = 'KeySetUnavailable';
}

/** A way to fetch the key set that goes on with the last good one, and lets no flood through to a host that is away. */
export function guardedFetch(): { [customFetch]: FetchImplementation } {
  let lastGood: string | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  const load: FetchImplementation = async (url, options) => {
    if (performance.now() - failedAt > PAUSE_AFTER_FAILURE_MS) {
      try {
        lastGood = await fetchText(url, options);
      } catch {
        failedAt = performance.now();
      }
    }
    if (lastGood === undefined) throw new KeySetUnavailable('the key set cannot be fetched');
    return new Response(lastGood);
  };
  return { [customFetch]: load };
}

/** RFC 7517 §5. */
const keySet = z.object({ keys: z.array(z.object({ kty: z.string() })) });

async function fetchText(...[url, options]: Parameters<FetchImplementation>): Promise<string> {
  const response = await fetch(url, options);
  const text = await response.text();
  const isKeySet = response.status === 200 && keySet.safeParse(JSON.parse(text)).success;
  if (!isKeySet) throw new Error('not a key set');
  return text;
}
