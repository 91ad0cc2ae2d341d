import {
  type CryptoKey,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JWTVerifyGetKey,
  type RemoteJWKSet,
} from 'jose';
import { type Dispatcher, Pool, request } from 'undici';
import { z } from 'zod';
import type { Egress } from '../egress/egress.ts';
import type { Clock } from '../utils/clock.ts';

/** The key set is fetched again when it is old, or, at most this often, for a key that it does not contain. */
const OPTIONS = { cacheMaxAge: 10 * 60_000, cooldownDuration: 5_000, timeoutDuration: 3_000 };

/** After a failed fetch, no other one is attempted for this long, however many callers need it. */
const FAILURE_COOLDOWN_MS = 5_000;

/** A larger response is not a key set. */
const MAX_BYTES = 1024 * 1024;

/** Keys that were fetched stay valid for this long while the key set cannot be fetched again. */
const MAX_AGE_MS = 24 * 60 * 60_000;

/** The key set is required and was never fetched, or not for too long. */
export class KeySetUnavailableError extends Error {
  override readonly name = 'KeySetUnavailableError';
  /** Why the last fetch failed, for the log. */
  readonly code: string | undefined;

  constructor(code: string | undefined) {
    super('the key set cannot be fetched');
    this.code = code;
  }
}

/** The keys of the set at a URL; while it cannot be fetched, those that were fetched last, for a day. */
export class RemoteKeySet {
  private readonly last: LastFetched;
  private readonly keys: RemoteJWKSet;

  constructor({ url, egress, clock }: { url: string; egress: Egress; clock: Clock }) {
    const { origin } = new URL(url);
    const connect = egress.connector(origin, OPTIONS.timeoutDuration / 2);
    this.last = new LastFetched(new Pool(origin, { connect, maxResponseSize: MAX_BYTES }), clock);
    const fetch: FetchImplementation = (...parameters) => this.last.fetch(...parameters);
    this.keys = createRemoteJWKSet(new URL(url), { ...OPTIONS, [customFetch]: fetch });
  }

  /** Returns the key that a JWT names. @throws jose's errors; KeySetUnavailableError */
  async find(...[header, token]: Parameters<JWTVerifyGetKey>): Promise<CryptoKey> {
    const { kid, ...withoutId } = header ?? {};
    try {
      return await this.keys(this.last.hasIds ? header : withoutId, token);
    } catch (error) {
      const wasFetchedNow = error instanceof errors.JWKSNoMatchingKey && kid !== undefined && !this.last.hasIds;
      if (!wasFetchedNow) throw error;
      return await this.keys(withoutId, token);
    } finally {
      this.last.text(); // jose keeps keys for minutes after they became too old
    }
  }

  /** Fetches the set again, unless it was fetched a moment ago. Returns whether it did. */
  async refresh(): Promise<boolean> {
    if (this.keys.coolingDown) return false;
    await this.keys.reload();
    return true;
  }
}

/** Fetches a key set; if that fails, returns the last one that was fetched. */
class LastFetched {
  private readonly dispatcher: Dispatcher;
  private readonly clock: Clock;
  private content: { text: string; at: number; hasIds: boolean } | undefined;
  private failedAt = Number.NEGATIVE_INFINITY;
  private failure: string | undefined;

  constructor(dispatcher: Dispatcher, clock: Clock) {
    this.dispatcher = dispatcher;
    this.clock = clock;
  }

  async fetch(...[url, { headers, signal }]: Parameters<FetchImplementation>): Promise<Response> {
    const startedAt = this.clock.monotonicMs();
    if (startedAt - this.failedAt > FAILURE_COOLDOWN_MS) {
      try {
        const { dispatcher } = this;
        const response = await request(url, { headers: Object.fromEntries(headers), signal, dispatcher });
        this.content = { ...(await readKeySet(response)), at: startedAt };
      } catch (error) {
        const { code, name } = error as { code?: unknown; name: string };
        this.failure = typeof code === 'string' ? code : name;
        this.failedAt = this.clock.monotonicMs();
      }
    }
    return new Response(this.text());
  }

  /** False if the keys have no IDs, so that the one that a token has says nothing. */
  get hasIds(): boolean {
    return this.content?.hasIds ?? true;
  }

  /** @throws KeySetUnavailableError if there is none, or if it is too old */
  text(): string {
    if (!this.content || this.clock.monotonicMs() - this.content.at > MAX_AGE_MS) {
      throw new KeySetUnavailableError(this.failure);
    }
    return this.content.text;
  }
}

/** RFC 7517 §5. */
const keySet = z.object({ keys: z.array(z.object({ kty: z.string(), kid: z.string().optional() })) });

async function readKeySet({ statusCode, body }: Dispatcher.ResponseData) {
  const text = await body.text();
  if (statusCode !== 200) throw new Error('the response is not a key set');
  const { keys } = keySet.parse(JSON.parse(text));
  return { text, hasIds: keys.some(({ kid }) => kid !== undefined) };
}
