import type { IncomingMessage } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { AppError } from '../errors.ts';

declare module 'http' {
  interface IncomingMessage {
    /** Why the server does not process the request: its parser rejected it, for example. */
    rejection?: AppError;
  }
}

const MAX_HEADER_BYTES = 32 * 1024;
/** The colon, the space and the line's end. */
const BYTES_PER_HEADER = 4;

/** Rejects what the HTTP server itself does not accept, so that it gets the same headers, log line and problem as all else. */
export const rejectUnparsable: RequestHandler = (request, response, next) => {
  const rejection = request.rejection ?? problemOf(request);
  if (!rejection) return next();
  response.set('Connection', 'close');
  throw rejection;
};

/** Reports why a body broke off, whatever a handler made of that. */
export const preferRejection: ErrorRequestHandler = (thrown, request, _response, next) => {
  next(request.rejection ?? thrown);
};

/** What Node's parser does not check, or responds to by itself. */
function problemOf({ httpVersion, headers, rawHeaders }: IncomingMessage): AppError | undefined {
  if (httpVersion === '1.1' && headers.host === undefined) {
    return new AppError('invalid_request', { detail: 'Host is required' });
  }
  let hosts = 0;
  let bytes = 0; // the parser counts only names and values
  for (let at = 0; at < rawHeaders.length; at += 1) {
    const text = rawHeaders[at] as string;
    bytes += text.length + BYTES_PER_HEADER / 2;
    if (at % 2 === 0 && text.length === 4 && text.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) return new AppError('invalid_request', { detail: 'Host must appear exactly once' });
  return bytes > MAX_HEADER_BYTES ? new AppError('headers_too_large') : undefined;
}
