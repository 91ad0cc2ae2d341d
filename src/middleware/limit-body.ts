import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';

/** The largest body that any route takes. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Refuses a body by the length it announces, before any of it is read. */
export const limitBody: RequestHandler = (request, _response, next) => {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw payloadTooLarge();
  next();
};

/** What a larger body is answered. */
export function payloadTooLarge(): AppError {
  return new AppError('payload_too_large', 'The body is larger than 1 MiB.');
}
