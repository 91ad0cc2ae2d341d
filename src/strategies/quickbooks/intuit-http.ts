import { Agent, request } from 'undici';
import { ProviderError } from '../accounting-strategy.ts';

/** A whole answer of Intuit's. */
export interface IntuitAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The parsed JSON, or the text where it is none. */
  body: unknown;
}

const MAX_ANSWER_BYTES = 1024 * 1024;

/** Failures that come before anything was sent: what was to be sent is still unused. */
const NOT_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_\w+|CERT_\w+|\w*SELF_SIGNED\w*|UNABLE_TO_\w+)$/;

/**
 * Calls to Intuit that carry a secret: one try, one time limit over the whole answer, no redirect followed, and a
 * connection of its own, since one kept alive that the far end just closed looks like a lost answer.
 */
export class IntuitHttp {
  private readonly agent: Agent;

  constructor(private readonly timeoutMs: number) {
    const connect = { timeout: timeoutMs / 2 }; // ends before the whole call does: nothing was sent then
    this.agent = new Agent({ pipelining: 0, maxResponseSize: MAX_ANSWER_BYTES, connect });
  }

  /** @throws ProviderError `unavailable` where no whole answer came. Every status is an answer. */
  async send(
    url: string,
    options: { method: 'GET' | 'POST'; headers: Record<string, string>; body?: string },
  ): Promise<IntuitAnswer> {
    try {
      const { statusCode, headers, body } = await request(url, {
        ...options,
        dispatcher: this.agent,
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      return { status: statusCode, headers, body: parseJson(await body.text()) };
    } catch (error) {
      const { code, name } = error as { code?: unknown; name?: string };
      const reason = typeof code === 'string' ? code : name;
      throw new ProviderError('unavailable', { reason, outcomeUnknown: !NOT_SENT.test(reason ?? '') });
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
