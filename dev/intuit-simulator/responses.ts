import type { ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';

/** What the simulator sends back: made first and sent later, so that a fault can come between. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: string | Buffer | Readable;
}

/** An answer with a JSON body. */
export function json(status: number, value: unknown): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json;charset=UTF-8' },
    body: JSON.stringify(value),
  };
}

/** An HTML page. */
export function html(status: number, page: string): Answer {
  return { status, headers: { 'content-type': 'text/html;charset=UTF-8' }, body: page };
}

/** An answer without a body, as the revocation endpoint gives. */
export function empty(status: number): Answer {
  return { status, body: '' };
}

/** The same answer, compressed. */
export function gzipped(answer: Answer): Answer {
  const { body } = answer;
  const small =
    body instanceof Readable
      ? pipeline(body, createGzip(), () => {
          // a reader that leaves early is no error here
        })
      : gzipSync(body);
  return { ...answer, headers: { ...answer.headers, 'content-encoding': 'gzip' }, body: small };
}

/** Sends the answer whole. */
export function send(res: ServerResponse, { status, headers, body }: Answer): void {
  if (!(body instanceof Readable)) {
    res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
    return;
  }
  res.writeHead(status, headers);
  pipeline(body, res, () => {
    // a reader that leaves early is no error here
  });
}

/** Sends the headers and half of the body (of a stream: its first chunk), then breaks the connection. */
export async function sendHalf(res: ServerResponse, { status, headers, body }: Answer): Promise<void> {
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
