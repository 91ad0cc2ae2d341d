import type { ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';

/** A response, created before it is sent, so that a fault can be applied in between. */
export interface SimulatedResponse {
  status: number;
  headers?: Record<string, string>;
  body: string | Buffer | Readable;
}

/** A response with a JSON body. */
export function json(status: number, value: unknown): SimulatedResponse {
  return {
    status,
    headers: { 'content-type': 'application/json;charset=UTF-8' },
    body: JSON.stringify(value),
  };
}

/** A response with an HTML page. */
export function html(status: number, page: string): SimulatedResponse {
  return { status, headers: { 'content-type': 'text/html;charset=UTF-8' }, body: page };
}

/** A response without a body, as the revocation endpoint sends it. */
export function empty(status: number): SimulatedResponse {
  return { status, body: '' };
}

/** The same response, compressed. */
export function gzipped(response: SimulatedResponse): SimulatedResponse {
  const { body } = response;
  const compressed =
    body instanceof Readable
      ? pipeline(body, createGzip(), () => {
          // a client that disconnects early is not an error here
        })
      : gzipSync(body);
  return { ...response, headers: { ...response.headers, 'content-encoding': 'gzip' }, body: compressed };
}

/** Sends the whole response. */
export function send(res: ServerResponse, { status, headers, body }: SimulatedResponse): void {
  if (!(body instanceof Readable)) {
    res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
    return;
  }
  res.writeHead(status, headers);
  pipeline(body, res, () => {
    // a client that disconnects early is not an error here
  });
}

/** Sends the headers and half of the body (the first chunk of a stream), then breaks the connection. */
export async function sendHalf(res: ServerResponse, { status, headers, body }: SimulatedResponse): Promise<void> {
  if (body instanceof Readable) {
    res.writeHead(status, headers);
    for await (const chunk of body) {
      res.write(chunk, () => res.destroy());
      return;
    }
  }
  const whole = Buffer.from(body as string | Buffer);
  res.writeHead(status, { ...headers, 'content-length': Math.max(whole.length, 2) });
  res.flushHeaders();
  res.write(whole.length === 0 ? ' ' : whole.subarray(0, whole.length / 2), () => res.destroy());
}
