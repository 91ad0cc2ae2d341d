import { Client, request } from 'undici';
import type { Egress } from '../../egress/egress.ts';
import type { Clock } from '../../utils/clock.ts';
import { waitForInput } from '../../utils/wait-for-input.ts';
import { ProviderError } from '../provider-error.ts';

/** A complete response from Intuit. */
export interface IntuitResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The parsed JSON, or the text if it is not JSON. */
  body: unknown;
}

export interface IntuitRequest {
  url: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body?: string;
  /** Asked once the connection is open. If it returns false, nothing is sent. */
  maySend?: () => boolean;
}

const MAX_RESPONSE_BYTES = 1024 * 1024;

/** No connection was opened: a token that was to be sent is unused. */
class NotConnectedError extends Error {
  readonly error: Error;

  constructor(error: Error) {
    super('not connected');
    this.error = error;
  }
}

/** The process was paused for so long that another one may be sending the same token. */
class TooLateError extends Error {}

/**
 * Calls to Intuit that carry a secret: one attempt, one timeout for the whole response, no redirect followed. Each call
 * opens its own connection, since a kept-alive one that the peer has just closed looks like a lost response.
 */
export class IntuitHttp {
  private readonly timeoutMs: number;
  private readonly egress: Egress;
  private readonly clock: Clock;

  constructor({ timeoutMs, egress, clock }: { timeoutMs: number; egress: Egress; clock: Clock }) {
    this.timeoutMs = timeoutMs;
    this.egress = egress;
    this.clock = clock;
  }

  /** Returns a response with any status. @throws ProviderError `unavailable` if no complete response arrived. */
  async send({ url, method, headers, body, maySend = () => true }: IntuitRequest): Promise<IntuitResponse> {
    const client = this.createClient(new URL(url).origin, maySend);
    const abort = new AbortController();
    const timer = this.clock.startTimer(this.timeoutMs, () => void this.abortAfterGrace(abort));
    try {
      const response = await request(url, {
        method,
        headers,
        body: body ?? null,
        dispatcher: client,
        signal: abort.signal,
      });
      return {
        status: response.statusCode,
        headers: response.headers,
        body: parseJson(await response.body.text()),
      };
    } catch (error) {
      throw toProviderError(error, abort.signal.aborted);
    } finally {
      timer.cancel();
      void client.destroy();
    }
  }

  /** The connect timeout ends before the call does, so that nothing was sent. */
  private createClient(origin: string, maySend: () => boolean): Client {
    const connect = this.egress.connector(origin, this.timeoutMs / 2);
    return new Client(origin, {
      pipelining: 0,
      maxResponseSize: MAX_RESPONSE_BYTES,
      connect: (options, callback) =>
        connect(options, (...[error, socket]) => {
          if (error) return callback(new NotConnectedError(error), null);
          if (maySend()) return callback(null, socket);
          socket.destroy();
          return callback(new TooLateError(), null);
        }),
    });
  }

  private async abortAfterGrace(abort: AbortController): Promise<void> {
    await waitForInput(this.clock, () => false);
    abort.abort();
  }
}

function toProviderError(error: unknown, isTimeout: boolean): ProviderError {
  if (error instanceof TooLateError) return new ProviderError('unavailable', { reason: 'too_late', isTooLate: true });
  if (isTimeout) return new ProviderError('unavailable', { reason: 'timeout', isTimeout, isOutcomeUnknown: true });
  const isSent = !(error instanceof NotConnectedError);
  const reason = reasonOf(isSent ? (error as Error) : error.error);
  return new ProviderError('unavailable', { reason, isOutcomeUnknown: isSent });
}

function reasonOf(error: Error): string {
  const { code, name } = error as { code?: unknown; name: string };
  return typeof code === 'string' ? code : name;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
