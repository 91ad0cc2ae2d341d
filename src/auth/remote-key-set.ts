import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../utils/clock.ts';

/** The key set is fetched again when it is old, or, at most this often, for a key that it does not contain. */
const OPTIONS = { cacheMaxAge: 10 * 60_000, cooldownDuration: 30_000, timeoutDuration: 3_000 };

/** After a failed fetch, no other one is attempted for this long, however many callers need it. */
const FAILURE_COOLDOWN_MS = 5_000;

/** Keys that were fetched stay valid for this long while the key set cannot be fetched again. */
const MAX_AGE_MS = 24 * 60 * 60_000;

/** The key set is required and was never fetched, or not for too long. */
export class KeySetUnavailableError extends Error {
  override readonly name = 'KeySetUnavailableError';
}

/** Returns the keys of the set at a URL; while it cannot be fetched, those that were fetched last, for a day. @throws KeySetUnavailableError */
export function remoteKeySet(url: string, clock: Clock): JWTVerifyGetKey {
  const last = new LastFetched(clock);
  const keys = createRemoteJWKSet(new URL(url), { ...OPTIONS, [customFetch]: (...request) => last.fetch(...request) });
  return async (header, token) => {
    const key = await keys(header, token);
    last.text(); // jose keeps keys for minutes after they became too old
    return key;
  };
}

/** Fetches a key set; if that fails, returns the last one that was fetched. */
class LastFetched {
  private readonly clock: Clock;
  private content: { text: string; at: number } | undefined;
  private failedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async fetch(...request: Parameters<FetchImplementation>): Promise<Response> {
    const startedAt = this.clock.monotonicMs();
    if (startedAt - this.failedAt > FAILURE_COOLDOWN_MS) {
      try {
        this.content = { text: await fetchKeySet(...request), at: startedAt };
      } catch {
        this.failedAt = this.clock.monotonicMs();
      }
    }
    return new Response(this.text());
  }

  /** @throws KeySetUnavailableError if there is none, or if it is too old */
  text(): string {
    if (!this.content || this.clock.monotonicMs() - this.content.at > MAX_AGE_MS) {
      throw new KeySetUnavailableError('the key set cannot be fetched');
    }
    return this.content.text;
  }
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
