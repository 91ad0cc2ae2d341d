import type { IncomingHttpHeaders } from 'node:http';
import type { Writable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Clock, Timer } from '../../utils/clock.ts';
import { waitForInput } from '../../utils/wait-for-input.ts';
import { callerLeft } from './caller-left.ts';
import { TurnMissedError } from './company-limiter.ts';
import { responseHeaders } from './passed-headers.ts';
import { StreamedBody } from './streamed-body.ts';

/** A response that is not passed on is read up to this size and time, so that its connection can be used again. */
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

/** Where a response is passed on to: the caller's, as Node has it. */
export interface CallerResponse extends Writable {
  writeHead(status: number, headers: Record<string, string>): unknown;
}

/** A request to the provider. */
export interface ProviderRequest {
  method: 'GET' | 'POST';
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  body: Buffer | StreamedBody | undefined;
  /** Time from the last byte of the request to the headers of the response, in milliseconds. */
  timeoutMs: number;
  /** The request is not sent later than this, by the monotonic clock. */
  sendBefore: number;
}

/** The beginning of a response. */
export interface ProviderResponse {
  status: number;
  headers: IncomingHttpHeaders;
}

/** The provider did not respond. */
export class NoResponseError extends Error {
  /** False if the provider certainly received nothing. */
  readonly isSent: boolean;
  /** For the log: `timeout`, or the code of the failed connection. */
  readonly reason: string;

  constructor(reason: string, isSent: boolean) {
    super(`no response: ${reason}`);
    this.reason = reason;
    this.isSent = isSent;
  }
}

interface Exchange {
  request: ProviderRequest;
  response: CallerResponse;
  /** Decides whether the response is passed on. Otherwise it is discarded. */
  isPassedOn: (response: ProviderResponse) => boolean;
  dispatcher: Dispatcher;
  clock: Clock;
}

/**
 * Sends one request, and passes its response on as it arrives, no faster than the caller reads it. Resolves at the end of
 * a response that is passed on, and at the beginning of any other.
 * @throws NoResponseError, TurnMissedError, an `AbortError` if the caller has left, the error of the request's body, and any other error in
 * the middle of the response
 */
export async function exchange(options: Exchange): Promise<ProviderResponse> {
  const { request, response, dispatcher } = options;
  if (response.destroyed) throw callerLeft();
  return new Promise((resolve, reject) => {
    const handler = new ExchangeHandler({ ...options, resolve, reject });
    const { method, path, headers, body } = request;
    dispatcher.dispatch({ method, path, headers, body: body ?? null }, handler);
  });
}

type Callbacks = { resolve: (response: ProviderResponse) => void; reject: (error: Error) => void };

/** Undici's own interface: a stream and a signal for each response would cost more than everything else here. */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  private readonly options: Exchange & Callbacks;
  private controller: Dispatcher.DispatchController | undefined;
  private timer: Timer | undefined;
  private received: ProviderResponse | undefined;
  private isDiscarded = false;
  private discardedBytes = 0;
  private isTimeout = false;
  private hasCallerLeft = false;

  constructor(options: Exchange & Callbacks) {
    this.options = options;
    options.response.once('close', this.onCallerLeft);
  }

  /** The connection is open, and the request is sent when this returns. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    const { body } = this.options.request;
    this.controller = controller;
    if (this.hasCallerLeft) {
      controller.abort(callerLeft());
      return;
    }
    // Thrown, because an abort would close the connection, which the next attempt needs, and destroy the body.
    if (this.options.clock.monotonicMs() > this.options.request.sendBefore) throw new TurnMissedError();
    if (body instanceof StreamedBody) body.once('end', this.startTimer);
    else this.startTimer();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return; // an interim response
    const { response, isPassedOn } = this.options;
    this.timer?.cancel(); // a long response may take its time
    this.received = { status, headers };
    if (isPassedOn(this.received)) response.writeHead(status, responseHeaders(headers));
    else this.discard(this.received);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.options;
    if (this.isDiscarded) {
      this.discardedBytes += chunk.length;
      if (this.discardedBytes > DISCARD_BYTES) controller.abort(new Error('the response is too large to be discarded'));
    } else if (!response.write(chunk)) {
      controller.pause();
      response.once('drain', this.resume);
    }
  }

  onResponseEnd(): void {
    const { response, resolve } = this.options;
    this.stop();
    if (this.isDiscarded || !this.received) return;
    response.end();
    resolve(this.received);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.stop();
    if (!this.isDiscarded) this.options.reject(this.toError(error));
  }

  private discard(received: ProviderResponse): void {
    this.isDiscarded = true;
    this.timer = this.options.clock.startTimer(DISCARD_MS, () => this.controller?.abort(new Error('discarded')));
    this.options.resolve(received);
    if (this.options.request.body instanceof StreamedBody) this.options.request.body.destroy();
  }

  private toError(error: Error): Error {
    if (this.hasCallerLeft) return callerLeft();
    const { body } = this.options.request;
    if (body instanceof StreamedBody && body.errored) return body.errored;
    if (this.received || error instanceof TurnMissedError) return error;
    const { code, name } = error as { code?: unknown; name: string };
    const reason = this.isTimeout ? 'timeout' : typeof code === 'string' ? code : name;
    return new NoResponseError(reason, this.controller !== undefined);
  }

  private stop(): void {
    this.timer?.cancel();
    this.options.response.off('close', this.onCallerLeft).off('drain', this.resume);
  }

  private readonly resume = (): void => this.controller?.resume();

  private readonly startTimer = (): void => {
    if (this.received) return; // before the end of the request
    const { clock, request } = this.options;
    this.timer = clock.startTimer(request.timeoutMs, () => void this.onTimeout());
  };

  private async onTimeout(): Promise<void> {
    await waitForInput(this.options.clock, () => this.received !== undefined);
    if (this.received) return;
    this.isTimeout = true;
    this.controller?.abort(new Error('timeout'));
  }

  private readonly onCallerLeft = (): void => {
    this.hasCallerLeft = true;
    this.controller?.abort(callerLeft());
  };
}
